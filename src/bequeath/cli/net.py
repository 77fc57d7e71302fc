"""Turns the command line's errors and signals into one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand

from bequeath.errors import BequeathError, FolderInUse, IncompleteRun, first_line
from bequeath.files import NO_ROOM
from bequeath.printable import printable

FAILURE, BAD_INPUT, INCOMPLETE, IN_USE, STOPPED = 1, 2, 3, 4, 130


class Command(TyperCommand):
    """A command that can be stopped at any moment, also while it imports libraries."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. If it is stopped, say so and exit."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("bequeath: stopped; start it again to continue", err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED)  # an orderly exit could be killed by a second signal


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """Report errors within the `with` statement as damage of a JSON file that is shown there."""
    try:
        yield
    except (BequeathError, OSError):
        raise
    except Exception as error:
        raise BequeathError(
            f"{path}: damaged, or not written by a run ({type(error).__name__}: {first_line(error)}); remove it and "
            "finish the run again"
        ) from error


def check_text(study: Path) -> None:
    """Check that a file is readable YAML, before torch is loaded."""
    from bequeath.study.config.text import parse, read_text

    parse(read_text(study), study)


def log_to_stderr(level: str) -> None:
    """Show log messages of a level and above on stderr."""
    import logging

    from rich.console import Console
    from rich.logging import RichHandler

    from bequeath.study.log import Formatter

    handler = RichHandler(level.upper(), Console(stderr=True), show_time=False, show_path=False)
    handler.setFormatter(Formatter("%(message)s"))
    logger = logging.getLogger("bequeath")
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, handler.level))


def stop_at_signals() -> None:
    """Let the first signal end the work in order, and the second one at once. Files are complete or not written."""
    import signal

    stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        if stopping:
            os._exit(STOPPED)
        stopping = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)  # schedulers stop jobs by it
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have set it to be ignored
        signal.signal(signal.SIGINT, stop)


def in_net(app: Callable[[], object]) -> None:
    """Run the command line; an expected error becomes one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # characters that the terminal lacks are written as escapes
            stream.reconfigure(errors="backslashreplace")
    stop_at_signals()
    try:
        app()
    except FolderInUse as error:
        end(str(error), IN_USE)
    except IncompleteRun as error:
        end(str(error), INCOMPLETE)
    except BequeathError as error:
        end(str(error), BAD_INPUT)
    except OSError as error:
        if error.errno in NO_ROOM:
            end(f"the disk is full ({error}); make room and start again: finished work is kept", FAILURE)
        if error.filename is None:
            raise
        end(f"{error.filename}: {error.strerror}; check the path and its permissions", BAD_INPUT)


def end(message: str, code: int) -> NoReturn:
    """Print an error and exit."""
    typer.echo(f"bequeath: {printable(message)}", err=True)
    sys.exit(code)
