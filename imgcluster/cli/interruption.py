"""Ending the process soon after a signal, also while a library computes and Python cannot react."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from imgcluster.cli.first_signals import INTERRUPTED, MESSAGE, SIGNALS, end_at_signals

if TYPE_CHECKING:
    import socket

__all__ = [
    "INTERRUPTED",
    "output_begins",
    "run_interruptibly",
    "signals_interrupt",
    "wants_json",
]

# Whether an interruption prints an object on standard output, where nothing was printed yet.
_as_json = False

# After so many seconds the process ends without cleaning up, which the next command does.
_SECONDS: Final = 1.6


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line has the option ``--json``, or its environment variable."""
    set_by = os.environ.get("IMGCLUSTER_JSON", "").lower() in ("1", "true", "t", "yes", "y", "on")
    return "--json" in arguments or set_by


def output_begins() -> None:
    """From here on an interruption prints nothing on standard output: it has an object."""
    global _as_json
    _as_json = False


def run_interruptibly(run: Callable[[], None]) -> None:
    """Call `run`, and end the process with exit code 130 soon after SIGINT, SIGTERM or SIGHUP, whatever it does."""
    global _as_json
    _as_json = wants_json(sys.argv[1:])
    _open_closed_streams()
    end_at_signals(_interrupt_at_once)
    code: object = 0
    with _end_soon_after_signals():
        try:
            run()
        except SystemExit as end:
            code = end.code or 0
        except OSError as error:  # of standard output; commands report all others
            _not_written(error)
            code = 1
        _exit(code if isinstance(code, int) else 1)


@contextmanager
def signals_interrupt() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at signals, except where `nohup` ignores them, and yield a list that each is added to.

    Libraries can swallow the exception or replace it by another one, but not the entry of the list.
    """
    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        # Where the exception is swallowed, Python would print a traceback.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt

    hook = sys.unraisablehook
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_closed_streams() -> None:
    """Open standard streams that are closed, or the next file would have the number that libraries print to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - stays open


def _interrupt_at_once(*_: object) -> None:
    _end_interrupted(2)


def _end_interrupted(stderr: int | None) -> NoReturn:
    with contextlib.suppress(OSError):
        if _as_json:
            os.write(1, json.dumps({"error": MESSAGE, "exit_code": INTERRUPTED}).encode() + b"\n")
    with contextlib.suppress(OSError):
        if stderr is not None:
            os.write(stderr, f"imgcluster: {MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def _exit(code: int) -> None:
    """End the process without waiting for the threads of libraries, which may compute for hours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except (OSError, ValueError) as error:
        _not_written(error)
        code = code or 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _not_written(error: Exception) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"imgcluster: standard output could not be written: {error}\n")


@contextmanager
def _end_soon_after_signals() -> Iterator[None]:
    """End the process at the second signal, or if it goes on for long after the first.

    Python's handlers run between two steps of Python only, but a byte arrives at the wakeup socket at once.
    """
    import socket

    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(receiver, _stderr_copy()), name="imgcluster-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        sender.close()


def _stderr_copy() -> int | None:
    """Return a descriptor of standard error that stays when another one is put in its place for a while."""
    try:
        return os.dup(2)
    except OSError:
        return None


def _watch(receiver: socket.socket, stderr: int | None) -> None:
    with receiver:
        for received in iter(lambda: receiver.recv(1), b""):
            if received[0] in SIGNALS and signal.getsignal(received[0]) is not signal.SIG_IGN:
                break
        else:
            return
        receiver.settimeout(_SECONDS)
        with contextlib.suppress(TimeoutError):
            if not receiver.recv(1):
                return
    _end_interrupted(stderr)
