"""Writes all log messages of a run to ``run.log`` in its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bequeath.printable import printable

LOG = "run.log"
logger = logging.getLogger("bequeath.study")


class Formatter(logging.Formatter):
    """Makes each message one line without escape codes, since messages contain names from files."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, without a traceback."""
        record.message = printable(record.message)
        return super().formatMessage(record)


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write messages within the `with` statement to the folder's log, and the error that ended it, if any."""
    top = logging.getLogger("bequeath")
    handler = logging.FileHandler(folder / LOG, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = top.level
    top.addHandler(handler)
    if not top.isEnabledFor(logging.INFO):
        top.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        # Only to the file, because the caller gets the error itself.
        handler.handle(
            logger.makeRecord(
                logger.name,
                logging.ERROR if isinstance(error, Exception) else logging.WARNING,
                __file__,
                0,
                "ended by %s",
                (type(error).__name__,),
                (type(error), error, error.__traceback__),
            )
        )
        raise
    finally:
        top.setLevel(level)
        top.removeHandler(handler)
        handler.close()
