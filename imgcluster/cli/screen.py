"""Where errors become one line and an exit code, and where output is chosen: text, JSON or nothing."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import typer

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.fileio.path_text import printable, to_text
from imgcluster.progress import Report, silent

__all__ = ["INTERRUPTED", "SKIPPED", "Screen", "boundary"]

_Answer = TypeVar("_Answer")

SKIPPED: Final = 3
INTERRUPTED: Final = 130


@dataclasses.dataclass(frozen=True, slots=True)
class Screen:
    """What the user wants to see of a command.

    Args:
        as_json: One JSON object on standard output and nothing else there.
        quiet: Errors only.
        verbose: What happens inside, too.
    """

    as_json: bool
    quiet: bool
    verbose: bool

    def show(self, answer: _Answer, text: Callable[[_Answer], None], *, as_json: Any = None) -> None:
        """Print a command's answer, a dataclass or anything JSON holds.

        As JSON, or what stands for it there in `as_json`; else what `text` prints of it.
        """
        if self.as_json:
            sys.stdout.write(
                json.dumps(
                    _plain(answer if as_json is None else as_json), indent=2, ensure_ascii=False, allow_nan=False
                )
                + "\n"
            )
        elif not self.quiet:
            text(answer)
        # Here, not at the end of the program: who reads it may have gone.
        sys.stdout.flush()

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Yield what draws a bar on standard error; nothing is drawn where that is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield silent
            return
        from imgcluster.cli.progress_bar import bar

        with bar() as report:
            yield report

    @contextmanager
    def training_progress(self) -> Iterator[Callable[[Any], None] | None]:
        """Yield what shows how a training goes; None where nobody looks on."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from imgcluster.cli.progress_bar import training_bar

        with training_bar() as report:
            yield report


@contextmanager
def boundary(screen: Screen) -> Iterator[None]:
    """Run a command's body; whatever it raises ends as one line on standard error and the right exit code."""
    _set_up_streams()
    _take_signals_as_interruptions()
    _set_up_logging(screen)
    try:
        if screen.quiet and screen.verbose:
            raise UsageError("-q and -v contradict each other; give one of them")
        yield
    except ImgclusterError as error:
        _fail(screen, str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(screen, "interrupted; the same command goes on from here", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (as `head` does); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except OSError as error:
        _fail(screen, _describe(error), 1)
    except MemoryError:
        _fail(screen, "there is not enough memory for this; try fewer images, or --reduce pca", 1)


def _fail(screen: Screen, message: str, code: int) -> None:
    if screen.verbose:
        logging.getLogger("imgcluster").debug("where it happened:", exc_info=True)
    line = printable(" ".join(message.split()))
    if screen.as_json:
        sys.stdout.write(json.dumps({"error": line, "exit_code": code}, ensure_ascii=False) + "\n")
    sys.stderr.write(f"imgcluster: {line}\n")
    raise typer.Exit(code)


def _describe(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; make room, and run the same command again: what was written is kept"
    return f"{error.strerror or error}{where}"


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; numbers that JSON has no word for become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return to_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _set_up_streams() -> None:
    # A file's name must be printable on every console, also where that is not UTF-8.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _take_signals_as_interruptions() -> None:
    """Let the ends that systems and terminals put to a program (`kill`, a closed window) lose as little as Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), interrupt)


def _set_up_logging(screen: Screen) -> None:
    level = logging.DEBUG if screen.verbose else logging.ERROR if screen.quiet else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("imgcluster: %(message)s"))
    logger = logging.getLogger("imgcluster")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
