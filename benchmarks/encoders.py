"""Accuracy, NMI and images per second of every encoder of photographs, in each precision that can be obtained.

The data is the tuning sets, each clustered with its number of folders. Encoders of the Hugging Face hub that are not
installed are downloaded; those that cannot be are named with the reason. Names as arguments choose among them:
``python -m benchmarks.encoders photos dinov2-small``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.errors import ImgclusterError

# Smaller inputs are those of encoders for digits and icons.
SMALLEST_INPUT = 64


def main() -> None:
    print(machine())
    folders = sorted(path for path in (data_folder() / "photo-sets").iterdir() if path.is_dir())
    print(f"mean over {len(folders)} sets of photographs, one run each: {', '.join(path.name for path in folders)}\n")
    print(f"{'encoder':<24} {'precision':<9} {'accuracy':>8} {'NMI':>6} {'images/s':>9}")
    absent = []
    for entry in imgcluster.encoder_list():
        wanted = sys.argv[1:] or [entry.name]
        suits = entry.info is not None and entry.info.channels == 3 and entry.info.width >= SMALLEST_INPUT
        if entry.shadowed or not suits or entry.name not in wanted:
            continue
        for precision in entry.precisions:
            try:
                accuracy, nmi, rate = measure(entry.name, precision, folders)
            except ImgclusterError as error:
                absent.append(f"{entry.name} {precision}: {error}")
                continue
            print(f"{entry.name:<24} {precision:<9} {accuracy:>8.3f} {nmi:>6.3f} {rate:>9.1f}")
    print("\nnot obtained:", *(absent or ["none"]), sep="\n  ")


def measure(name: str, precision: str, folders: list[Path]) -> tuple[float, float, float]:
    """Return mean accuracy, mean NMI and images per second of an encoder on labeled folders."""
    imgcluster.Encoder(name, precision=precision)  # a download is not part of the time
    accuracies, nmis, images, seconds = [], [], 0, 0.0
    for folder in folders:
        with tempfile.TemporaryDirectory() as workspace:
            embedded = imgcluster.embed(folder, workspace=workspace, encoder=name, precision=precision)
            kinds = sum(path.is_dir() for path in folder.iterdir())
            imgcluster.cluster(workspace=workspace, k=kinds, place="none")
            scores = imgcluster.evaluate(workspace=workspace)
        accuracies.append(scores.accuracy)
        nmis.append(scores.nmi)
        images += embedded.embedded
        seconds += embedded.seconds
    return statistics.mean(accuracies), statistics.mean(nmis), images / seconds


if __name__ == "__main__":
    main()
