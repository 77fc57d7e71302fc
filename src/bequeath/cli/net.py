"""What catches the command line's errors and signals: one line on stderr, and an exit code."""

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
    """One that can be stopped at any moment, from its first import on."""

    def invoke(self, ctx: Any) -> Any:
        """Do it; stopped, it says so."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("bequeath: stopped; start it again to go on where it was", err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STOPPED)  # an interpreter that ends in order would die of a second signal


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """What the block shows is in a file of JSON: one that lacks some of it was not written by a run."""
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
    """A file that is no study is told of before torch is loaded."""
    from bequeath.study.config.text import parse, read_text

    parse(read_text(study), study)


def log_to_stderr(level: str) -> None:
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
    """The first signal ends the work in order, the second one at once: every file is whole or not there."""
    import signal

    stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        if stopping:
            os._exit(STOPPED)
        stopping = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)  # schedulers stop jobs so
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else shells have it ignored
        signal.signal(signal.SIGINT, stop)


def in_net(app: Callable[[], object]) -> None:
    """Run the command line: an error that users are meant to read is one line on stderr, with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal has no letters for is written out
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
        end(f"{error.filename}: {error.strerror}; check the place and who may read and write it", BAD_INPUT)


def end(message: str, code: int) -> NoReturn:
    typer.echo(f"bequeath: {printable(message)}", err=True)
    sys.exit(code)
