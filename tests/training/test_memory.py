"""Memory that a training frees stays with the process, for its next batch."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from imgcluster_training.memory import keep_freed_memory

SCRIPT = """
import numpy as np
from imgcluster_training.memory import keep_freed_memory

def pages() -> int:
    return int(open("/proc/self/statm").read().split()[1])

if {kept}:
    keep_freed_memory()
before = pages()
block = np.ones(100_000_000, dtype=np.uint8)
del block
print(pages() - before)
"""


def pages_after_freeing(*, kept: bool) -> int:
    command = [sys.executable, "-c", SCRIPT.format(kept=kept)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this setting")
def test_a_freed_block_is_kept() -> None:
    block = 100_000_000 // os.sysconf("SC_PAGESIZE")
    assert pages_after_freeing(kept=False) < block / 2
    assert pages_after_freeing(kept=True) > block / 2


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_other_c_libraries_are_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", fail)
    keep_freed_memory()
