"""Pickles as Python 2 wrote them: what CIFAR's Python version consists of."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from typing import Any, ClassVar


class _Python2(pickle._Pickler):
    """Protocol 2 with byte strings under their old opcodes, and numpy's module under its old name."""

    dispatch: ClassVar[dict[type, Callable]] = dict(pickle._Pickler.dispatch)

    def save_string(self, text: str | bytes) -> None:
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)))
        self.write(raw)

    dispatch[str] = dispatch[bytes] = save_string


def dumps(value: Any) -> bytes:
    stream = io.BytesIO()
    _Python2(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
