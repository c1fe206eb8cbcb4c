"""Ending the process at a signal outside of commands; imports little, because nothing is handled before."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERRUPTED", "MESSAGE", "SIGNALS", "end_at_signals"]

INTERRUPTED = 130
MESSAGE = "interrupted; run the same command again to continue"
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def _end(*_: object) -> None:
    """Print the message, and end the process."""
    os.write(2, f"imgcluster: {MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def end_at_signals(handler: Callable[..., None] = _end) -> None:
    """Call `handler` at SIGINT, SIGTERM and SIGHUP, except where `nohup` ignores them.

    Outside of commands there is nothing to clean up, and libraries that are being imported swallow exceptions.
    """
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _end):
            signal.signal(number, handler)
