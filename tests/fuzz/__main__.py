"""Fuzzes a target with coverage: ``python tests/fuzz NAME [--corpus FOLDER] [-max_total_time=60 …]``.

With ``--corpus`` the next run continues where this one ended: inputs that reach new code are kept in ``FOLDER/NAME``,
and what fails in ``FOLDER/NAME-failed``. Other options are those of libFuzzer; ``-merge=1`` reduces the corpus to
what reaches most. Without a name all targets are listed.

It needs atheris, which is not among the dependencies: ``pip install atheris``. What it finds becomes a file in
``regressions/``, named ``NAME-….bin``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP), str(TOP / "training"), str(TOP / "tests"), str(TOP / "tests/fuzz")]

with atheris.instrument_imports(include=["imgcluster", "imgcluster_training"]):
    # Only here are their functions instrumented; the target imports it when it runs.
    from seeds import seeds
    from targets import TARGETS, run

    import imgcluster_training.recipe.parser  # noqa: F401


def main() -> None:
    """Fuzz the target that the command line names, from the seeds of the tests and the corpus of earlier runs."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", add_help=False)
    parser.add_argument("name", choices=sorted(TARGETS), help="the target")
    parser.add_argument("--corpus", type=Path, help="a folder that is kept between runs")
    arguments, options = parser.parse_known_args()
    name: str = arguments.name
    valid = Path(tempfile.mkdtemp(prefix=f"imgcluster-seeds-{name}-"))
    for number, data in enumerate(seeds()[name]):
        (valid / str(number)).write_bytes(data)
    # The fuzzer adds to the first folder.
    folders = [valid]
    if arguments.corpus is not None:
        folders.insert(0, arguments.corpus / name)
        failed = arguments.corpus / f"{name}-failed"
        for folder in (folders[0], failed):
            folder.mkdir(parents=True, exist_ok=True)
        options.insert(0, f"-artifact_prefix={failed}/")
    atheris.Setup([sys.argv[0], *options, *map(str, folders)], lambda data: run(name, data))
    atheris.Fuzz()


main()
