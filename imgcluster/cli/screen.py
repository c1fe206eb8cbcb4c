"""The output of a command (text, JSON or nothing), and its errors as one line and an exit code."""

from __future__ import annotations

import codecs
import dataclasses
import errno
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

import typer

from imgcluster.cli.first_signals import MESSAGE
from imgcluster.cli.interruption import INTERRUPTED, output_begins, signals_interrupt
from imgcluster.errors import ImgclusterError, UsageError, one_line
from imgcluster.fileio.path_text import printable, to_text
from imgcluster.progress import OnProgress, ignore_progress

__all__ = ["INTERRUPTED", "SKIPPED", "Screen", "boundary", "print_error"]

_Result = TypeVar("_Result")

SKIPPED: Final = 3

_STDERR: Final = 2

# No name of a file is longer. What is longer is a value from a damaged file, which is shortened in messages.
_LONG_WORD: Final = re.compile(r"([^/\\]{100})[^/\\]{200,}([^/\\]{20})")


@dataclasses.dataclass(frozen=True, slots=True)
class Screen:
    """Where and how a command prints.

    Attributes:
        as_json: Print one JSON object on standard output, and nothing else there.
        quiet: Print errors only.
        verbose: Print details.
    """

    as_json: bool
    quiet: bool
    verbose: bool

    def show(self, result: _Result, text: Callable[[_Result], None], *, as_json: Any = None) -> None:
        """Print a command's result: as JSON (of `as_json` if given), or with the function `text`."""
        output_begins()
        try:
            if self.as_json:
                sys.stdout.write(_json(_plain(result if as_json is None else as_json), indent=2) + "\n")
            elif not self.quiet:
                text(result)
            # Not at exit, where a closed pipe would raise outside of `boundary`.
            sys.stdout.flush()
        except BrokenPipeError:
            # A reader such as `head` closed the pipe, which is not an error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @contextmanager
    def progress(self) -> Iterator[OnProgress]:
        """Yield a callback that shows progress on standard error: a bar on a terminal, else a line every 30 seconds."""
        if self.quiet:
            yield ignore_progress
        elif sys.stderr.isatty():
            from imgcluster.cli.progress_bar import bar

            with bar() as on_progress:
                yield on_progress
        else:
            from imgcluster.cli.progress_lines import ProgressLines

            lines = ProgressLines()
            with lines.repeating():
                yield lines

    @contextmanager
    def training_progress(self) -> Iterator[Callable[[Any], None] | None]:
        """Yield a callback that shows the progress of a training in the same way; None if quiet."""
        if self.quiet:
            yield None
        elif sys.stderr.isatty():
            from imgcluster.cli.progress_bar import training_bar

            with training_bar() as on_progress:
                yield on_progress
        else:
            from imgcluster.cli.progress_lines import TrainingLines

            yield TrainingLines()


@contextmanager
def boundary(screen: Screen) -> Iterator[None]:
    """Run a command's body; an error becomes one line on standard error and an exit code."""
    with _quiet_libraries(screen), signals_interrupt() as received:
        _set_up_streams()
        _set_up_logging(screen)
        try:
            if screen.quiet and screen.verbose:
                raise UsageError("-q and -v cannot be combined; give one of them")
            yield
            if received:
                raise KeyboardInterrupt
        except BaseException as error:
            if received or isinstance(error, KeyboardInterrupt):
                _fail(screen, MESSAGE, INTERRUPTED)
            explained = _explain(error)
            if explained is None:
                _report_defect(screen, error)
                raise
            _fail(screen, *explained)


@contextmanager
def _quiet_libraries(screen: Screen) -> Iterator[None]:
    """Hide what libraries in C print to standard error, without the names of files, except with ``--verbose``."""
    before = sys.stderr
    try:
        hidden = not screen.verbose and before.fileno() == _STDERR
    except (AttributeError, OSError, ValueError):
        hidden = False
    if not hidden:
        yield
        return
    before.flush()
    own, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    stderr = open(own, "w", encoding=before.encoding, errors=before.errors, buffering=1)  # noqa: SIM115 - closed below
    os.dup2(nowhere, _STDERR)
    sys.stderr = stderr
    try:
        yield
    finally:
        sys.stderr = before
        os.dup2(own, _STDERR)
        os.close(nowhere)
        # What could not be written there before cannot be written now.
        with suppress(OSError):
            stderr.close()


def _explain(error: BaseException) -> tuple[str, int] | None:
    """Return the message for an error and the exit code; None for a defect of the program."""
    if isinstance(error, ImgclusterError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return _describe(error), 1
    if isinstance(error, MemoryError):
        return "not enough memory; try fewer images, or --reduce pca", 1
    return None


def _report_defect(screen: Screen, error: BaseException) -> None:
    """Print an object for a program that reads it; the traceback follows on standard error."""
    if screen.as_json and isinstance(error, Exception) and not isinstance(error, typer.Exit):
        line = f"{type(error).__name__}: {one_line(error)}; this is a defect of imgcluster"
        output_begins()
        sys.stdout.write(_json({"error": line, "exit_code": 1}) + "\n")


def _fail(screen: Screen, message: str, code: int) -> NoReturn:
    if screen.verbose:
        logging.getLogger("imgcluster").debug("traceback:", exc_info=True)
    print_error(message, code, as_json=screen.as_json)
    raise typer.Exit(code) from None


def print_error(message: str, code: int, *, as_json: bool) -> None:
    """Print an error as one line on standard error and, with `as_json`, as an object on standard output."""
    line = printable(" ".join(_LONG_WORD.sub(r"\1…\2", word) for word in message.split()))
    output_begins()
    if as_json:
        sys.stdout.write(_json({"error": line, "exit_code": code}) + "\n")
        # The process may be ended before its end.
        with suppress(BrokenPipeError):
            sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.write(f"imgcluster: {line}\n")


def _json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that is valid also where standard output has another encoding than UTF-8."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    return json.dumps(value, indent=indent, ensure_ascii=not is_utf8, allow_nan=False)


def _describe(error: OSError) -> str:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # Of two files the second one is written.
        where = f" at {_mount_point(names[-1])}, so {names[-1]} was not written" if names else ""
        what = "the disk is full" if error.errno == errno.ENOSPC else "your share of the disk is used up"
        return f"{what}{where}; free some space there, then run the same command again"
    return f"{error.strerror or error}: {' -> '.join(dict.fromkeys(names))}".removesuffix(": ")


def _mount_point(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _plain(value: Any) -> Any:
    """Convert a value to JSON types; NaN and infinity become null."""
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
    # Consoles that are not UTF-8 cannot print all file names.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class _Lines(logging.Formatter):
    """One line for each message; control characters, which file names can contain, are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [f"imgcluster: {printable(record.getMessage())}"]
        if record.exc_info:
            lines += map(printable, self.formatException(record.exc_info).splitlines())
        return "\n".join(lines)


def _set_up_logging(screen: Screen) -> None:
    level = logging.DEBUG if screen.verbose else logging.ERROR if screen.quiet else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("imgcluster")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
