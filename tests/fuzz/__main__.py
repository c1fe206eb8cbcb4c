"""Fuzzes a target with coverage: ``python tests/fuzz NAME [-max_total_time=60 …]``, with libFuzzer's options.

It needs atheris, which is not among the dependencies: ``pip install atheris``. What it finds becomes a file in
``regressions/``, named ``NAME-….bin``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP), str(TOP / "training"), str(TOP / "tests"), str(TOP / "tests/fuzz")]

with atheris.instrument_imports(include=["imgcluster", "imgcluster_training"]):
    # Only here are their functions instrumented; the target imports it when it runs.
    from seeds import seeds
    from targets import run

    import imgcluster_training.recipe.parser  # noqa: F401


def main() -> None:
    """Fuzz the target that the command line names, from the seeds of the tests."""
    name, *options = sys.argv[1:]
    corpus = Path(tempfile.mkdtemp(prefix=f"imgcluster-corpus-{name}-"))
    for number, data in enumerate(seeds()[name]):
        (corpus / str(number)).write_bytes(data)
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: run(name, data))
    atheris.Fuzz()


main()
