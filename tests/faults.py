"""Commands that are killed, or whose file-system calls fail, at a chosen call; nothing here is a test.

`FaultServer` starts this module as a program that imports what commands need, and forks for each command, because a
fresh process takes seconds. It has one thread: threads of many forked processes wait for each other. Calls are seen by
an audit hook, which Python calls before it opens, renames, creates, links, lists or removes something.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = [
    "CALLS",
    "FILLER",
    "KILLED",
    "FaultServer",
    "Outcome",
    "fill",
    "refuse_writes",
    "some_calls",
]

KILLED: Final = 137
FILLER: Final = "filler"
CALLS: Final = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"),
    *("os.chmod", "os.listdir", "os.scandir", "shutil.rmtree", "shutil.copyfile"),
}
_SECONDS: Final = 120
_ENDS: Final = -1
_ROWS_PER_SHARD: Final = 4


_READS: Final = {"os.listdir", "os.scandir"}
_WRITING_FLAGS: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_refused: list[tuple[str, int]] = []


@contextlib.contextmanager
def refuse_writes(folder: Path, number: int = errno.EROFS) -> Iterator[None]:
    """Let every call in this process fail that would change something in a folder, as on a read-only file system."""
    if not hasattr(sys, "_imgcluster_tests_hook"):
        # An audit hook stays for ever.
        sys.addaudithook(_refuse_writes)
        sys._imgcluster_tests_hook = True  # type: ignore[attr-defined]
    _refused.append((os.path.join(folder, ""), number))
    try:
        yield
    finally:
        _refused.pop()


def _refuse_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if not _refused or event not in CALLS - _READS:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING_FLAGS):
        return
    for path in arguments[1:2] if event == "shutil.copyfile" else arguments[:2]:
        for folder, number in _refused:
            if isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(folder):
                raise OSError(number, os.strerror(number), os.fspath(path))


@dataclass(frozen=True)
class Outcome:
    """The exit code, the number of file-system calls below the folders, the text on standard error, and the time."""

    code: int
    calls: int
    stderr: str
    seconds: float


def fill(disk: Path, *, left: int) -> None:
    """Fill a disk with one file but for `left` KB."""
    (disk / FILLER).write_bytes(bytes(max(0, shutil.disk_usage(disk).free - (left << 10))))


def some_calls(count: int) -> range:
    """Return the numbers of the calls that a slow test tries: every n-th of `count`, by ``IMGCLUSTER_TEST_EVERY``."""
    every = int(os.environ.get("IMGCLUSTER_TEST_EVERY") or 1)
    return range(random.randrange(min(every, count)), count, every)


class FaultServer:
    """Runs commands in forked processes; close it at the end."""

    def __init__(self, *, training: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")
        library = Path(self._folder.name) / "faults.so"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.sees_writes = _build(library)
        if self.sees_writes:
            environment["LD_PRELOAD"] = str(library)
        command = [sys.executable, __file__, *(["training"] if training else [])]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        words: Sequence[object],
        folders: Sequence[Path],
        *,
        fault: str = "kill",
        at: int = _ENDS,
        most_bytes: int | None = None,
        after: float | None = None,
        writes: bool = False,
    ) -> Outcome:
        """Run a command.

        Args:
            words: The command line.
            folders: The folders below which calls are counted.
            fault: ``kill``, or the name of an error number that the call fails with.
            at: The number of the call, from 0; none by default.
            most_bytes: No file becomes longer: the write that would make it longer is short, and the next one fails.
            after: After so many seconds the command and its processes are killed.
            writes: The counted calls are those that write, also of C++, instead of those of the audit hook; only
                where the server `sees_writes`, and in the first folder.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"words": list(map(str, words)), "folders": list(map(str, folders)), "fault": fault, "at": at}
        request["writes"] = writes
        self._process.stdin.write(json.dumps(request | {"most_bytes": most_bytes, "after": after}) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=30)
        self._folder.cleanup()


def _serve() -> None:
    import imgcluster.cli.app

    for name in ("apply", "assign", "cluster", "duplicates", "embed", "undo", "run"):
        __import__(f"imgcluster.commands.{name}")
    import hdbscan  # noqa: F401
    import onnxruntime  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.cluster  # noqa: F401

    if "training" in sys.argv:
        import torch

        __import__("imgcluster_training.train")
        torch.set_num_threads(1)

    from imgcluster.images import readers
    from imgcluster.workspace.shard_writer import ShardWriter

    scratch = Path(tempfile.mkdtemp(prefix="faults-"))
    # Few pictures make several shards.
    readers.FEW_FILES = 64  # type: ignore[misc]
    (ShardWriter.__init__.__kwdefaults__ or {})["rows_per_shard"] = _ROWS_PER_SHARD
    for line in sys.stdin:
        request, started = json.loads(line), time.monotonic()
        process = os.fork()
        if not process:
            _run_child(request, scratch, imgcluster.cli.app.main)
        if request["after"] is not None:
            time.sleep(request["after"])
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        _import_later_modules(scratch / "modules")
        calls = scratch / "calls"
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            # A kill can leave the file empty.
            "calls": int(calls.read_text() or 0) if calls.exists() else 0,
            "stderr": (scratch / "stderr").read_text(errors="replace"),
            "seconds": time.monotonic() - started,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for file in scratch.iterdir():
        file.unlink()
    scratch.rmdir()


def _run_child(request: dict[str, Any], scratch: Path, command: Any) -> None:
    os.setsid()
    signal.alarm(_SECONDS)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(scratch / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    if not request["writes"]:
        # The disk keeps its power, and waiting for it takes up to half of the time.
        os.fsync = os.fstat  # type: ignore[assignment]
    inject = _inject_writes if request["writes"] else _inject
    count = inject(request["folders"], request["fault"], request["at"])
    if request["most_bytes"] is not None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["most_bytes"], resource.RLIM_INFINITY))
    sys.argv = ["imgcluster", *request["words"]]
    code = 1
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if request["most_bytes"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (scratch / "calls").write_text(str(count()))
        (scratch / "modules").write_text("\n".join(sys.modules))
        os._exit(code)


def _import_later_modules(modules: Path) -> None:
    """Import what an earlier command imported, so that the next one need not."""
    if modules.exists():
        for name in set(modules.read_text().split("\n")) - set(sys.modules):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        modules.unlink()


def _build(library: Path) -> bool:
    """Build the library that counts writes, where there is a compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return False
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("faults.c")), "-ldl"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _inject_writes(folders: Sequence[str], fault: str, at: int) -> Callable[[], int]:
    """Count writes in the first folder, and let the one with the number `at` fail; return what gives the count."""
    library = ctypes.CDLL(None)
    path = os.fsencode(os.path.realpath(folders[0]))
    library.faults_arm(path, ctypes.c_long(at), 0 if fault == "kill" else getattr(errno, fault))
    return lambda: int(library.faults_count())


def _inject(folders: Sequence[str], fault: str, at: int) -> Callable[[], int]:
    """Count calls below the folders, and let the one with the number `at` fail; return what gives the count."""
    counted = [0]
    number = None if fault == "kill" else getattr(errno, fault)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CALLS:
            return
        # The second path of a rename or a link counts, too.
        paths = [os.fspath(path) for path in arguments[:2] if isinstance(path, str | os.PathLike)]
        if not any(path.startswith(tuple(folders)) for path in paths):
            return
        path = paths[0]
        if counted[0] == at:
            counted[0] += 1
            if number is None:
                os._exit(KILLED)
            raise OSError(number, os.strerror(number), path)
        counted[0] += 1

    sys.addaudithook(hook)
    return lambda: counted[0]


if __name__ == "__main__":
    _serve()
