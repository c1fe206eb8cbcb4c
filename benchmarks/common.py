"""What every benchmark needs: the data, and a line about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

__all__ = ["data_folder", "machine", "times_in_turns"]


def data_folder() -> Path:
    """Return the folder of the test data; ends the script where there is none."""
    folder = Path(os.environ.get("IMGCLUSTER_TEST_DATA", "../shared/data"))
    if not folder.is_dir():
        raise SystemExit(f"there is no test data in {folder}; name its folder in IMGCLUSTER_TEST_DATA")
    return folder


def machine() -> str:
    """Return processor, system and the versions that matter, in one line."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "pillow"))
    system = f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"
    return f"{processor}, {system}, {packages}"


def times_in_turns(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median processor times of both in milliseconds, called in turns after one call of each."""

    def milliseconds(call: Callable[[], object]) -> float:
        start = time.process_time()
        call()
        return (time.process_time() - start) * 1000

    first()
    second()
    pairs = [(milliseconds(first), milliseconds(second)) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)
