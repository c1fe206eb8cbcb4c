"""`compare`: encoders side by side, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import imgcluster
from imgcluster.cli.app import app
from imgcluster.commands import compare_encoders as module
from imgcluster.commands.compare_encoders import EncoderRow
from imgcluster.evaluation.external import adjusted_rand_index
from tiny_models import TINY, mean_colour


@pytest.fixture
def encoders(tmp_path: Path, tiny_encoder: Path) -> tuple[Path, Path]:
    """Two encoders that see colors in 4×4 and in 2×2 pixels."""
    (tmp_path / "encoders").mkdir()
    small = replace(TINY, name="small", width=2, height=2, embedding_size=12)
    return tiny_encoder, mean_colour(tmp_path / "encoders/small.onnx", small)


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def compare(pictures: Path, encoders: tuple[Path, ...], folder: Path, *words: str | Path) -> Result:
    given = [word for encoder in encoders for word in ("--encoder", encoder)]
    return invoke("compare", pictures, *given, "-w", folder, "--device", "cpu", *words)


def test_missing_labels_are_noticed_before_anything_is_embedded(
    pictures: Path, encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    result = compare(pictures, encoders, tmp_path / "compared", "--labels", tmp_path / "labels.csv")
    assert (result.exit_code, "labels.csv does not exist" in result.output) == (2, True)
    assert not (tmp_path / "compared").exists()


def test_encoders_side_by_side(pictures: Path, encoders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "compared"
    result = compare(pictures, encoders, folder, "--labels", "folders", "--k", "3", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    first, second = answer["rows"]
    assert [Path(row["encoder"]).stem for row in answer["rows"]] == ["tiny", "small"]
    assert [row["embedding_size"] for row in answer["rows"]] == [48, 12]
    assert [row["size"] for row in answer["rows"]] == [encoder.stat().st_size for encoder in encoders]
    for row in answer["rows"]:
        assert (row["images"], row["clusters"], row["noise"], row["device"]) == (24, 3, 0, "cpu")
        assert (row["accuracy"], row["nmi"], row["ari"], row["purity"]) == (1, 1, 1, 1)
        assert row["images_per_second"] > 0
    labels = [imgcluster.load(row["workspace"]).labels for row in answer["rows"]]
    assert labels[0] is not None
    assert labels[1] is not None
    assert first["agreement"] == second["agreement"] == round(adjusted_rand_index(labels[0], labels[1]), 4)
    assert answer["recommended"] in (first["encoder"], second["encoder"])
    # The images stay where they are, and no folders are made.
    assert not list(folder.glob("*/clusters"))
    table = compare(pictures, encoders, folder)
    assert all(word in table.stdout for word in ("tiny.onnx", "small.onnx", "stability", "agreement", "Recommended"))
    assert "accuracy" not in table.stdout


@pytest.mark.slow
def test_images_of_an_earlier_comparison_are_not_compared(
    pictures: Path, encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "compared"
    assert compare(pictures / "red", encoders[:1] * 2, folder).exit_code == 2
    assert compare(pictures / "red", encoders, folder).exit_code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    third = mean_colour(tmp_path / "third.onnx", replace(TINY, name="third"))
    refused = compare(pictures / "blue", (third, encoders[1]), folder)
    assert (refused.exit_code, "00.png" in refused.output, "-w DIR" in refused.output) == (2, True, True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (pictures / "red/00.png").unlink()
    assert json.loads(compare(pictures, encoders, folder, "--json").stdout)["rows"][1]["images"] == 23
    renamed = pictures.rename(pictures.with_name("renamed"))
    assert json.loads(compare(renamed, encoders, folder, "--json").stdout)["rows"][1]["images"] == 23


def test_repeating_continues(pictures: Path, encoders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "compared"
    assert compare(pictures, encoders, folder).exit_code == 0
    workspaces = sorted(path.parent for path in folder.glob("*/manifest.json"))
    assert len(workspaces) == 2
    shards = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet") if "shard" in path.name}
    third = mean_colour(tmp_path / "third.onnx", replace(TINY, name="third"))
    again = compare(pictures, (*encoders, third), folder, "--json")
    assert again.exit_code == 0, again.output
    assert len(json.loads(again.stdout)["rows"]) == 3
    assert shards.items() <= {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}.items()


def test_wrong_use_is_explained(pictures: Path, encoders: tuple[Path, Path], tmp_path: Path) -> None:
    single = compare(pictures, encoders[:1], tmp_path / "compared")
    assert (single.exit_code, "two" in single.stderr) == (2, True)
    twice = compare(pictures, (encoders[0], encoders[0]), tmp_path / "compared")
    assert (twice.exit_code, "different" in twice.stderr) == (2, True)
    assert invoke("embed", pictures, "--encoder", encoders[0], "-w", tmp_path / "out").exit_code == 0
    inside = compare(pictures, encoders, tmp_path / "out")
    assert (inside.exit_code, "is a workspace" in inside.stderr) == (2, True)
    empty = compare(pictures, encoders, tmp_path / "compared", "--k", "0")
    assert (empty.exit_code, "--k 0" in empty.stderr) == (2, True)
    assert not (tmp_path / "compared").exists()


ROW: dict[str, Any] = {
    "workspace": "",
    "device": "cpu",
    "precision": "",
    "size": 1,
    "embedding_size": 1,
    "images": 10,
    "clusters": 2,
    "noise": 0,
    "agreement": 1.0,
    "nmi": None,
    "ari": None,
    "purity": None,
}


@pytest.mark.parametrize(
    ("values", "expected", "says"),
    [
        # accuracy, stability and images per second of each encoder
        ([(0.9, 0.5, 1), (0.8, 0.9, 9)], "first", ("accuracy", "0.900", "highest")),
        ([(0.9, 0.5, 1), (0.895, 0.9, 9)], "second", ("accuracy", "0.895", "equal", "first", "faster")),
        ([(None, 0.9, 1), (None, 0.7, 9)], "first", ("stability", "0.900", "highest")),
        ([(None, 0.9, 1), (None, 0.9, 9)], "second", ("stability", "faster")),
        ([(None, None, 1), (None, 0.2, 0.5)], "second", ("stability", "highest")),
        ([(None, None, 1), (None, None, 9)], "second", ("fastest",)),
    ],
)
def test_the_recommendation_follows_its_rule(
    values: list[tuple[float | None, float | None, float]], expected: str, says: tuple[str, ...]
) -> None:
    rows = [
        EncoderRow(encoder=name, accuracy=accuracy, stability=stability, images_per_second=speed, **ROW)
        for name, (accuracy, stability, speed) in zip(("first", "second"), values, strict=True)
    ]
    best, reason = module.recommend(rows)
    assert best.encoder == expected
    assert all(word in reason for word in says), reason


def test_agreement_ignores_the_numbers_of_clusters() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert adjusted_rand_index(labels, np.array([5, 5, 0, 0, -1, -1])) == 1
