"""Candidates as they are given on the command line: what each one is, and a name for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bequeath.errors import BequeathError
from bequeath.models.architectures import OURS, SOURCES
from bequeath.models.hub import HUB, hub_entry
from bequeath.models.named import check_known
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import printable

FORMS = (
    "torchvision:NAME, timm:NAME, bequeath:mobilenet_v2, transformers:NAME, a folder of save_pretrained, "
    "ARCHITECTURE=STATE_FILE or module:function=STATE_FILE"
)


@dataclass(frozen=True)
class Candidate:
    """A pre-trained model.

    Attributes
    ----------
    name : str
        Unique among the candidates, and printable.
    given : str
        As the user wrote it.
    architecture, weights : str
        As for `bequeath.models.load_backbone`.
    preprocessing : Preprocessing or None
        How it is given pictures; None: as its library or folder says.
    """

    name: str
    given: str
    architecture: str
    weights: str
    preprocessing: Preprocessing | None = None


def candidates(given: Sequence[str]) -> list[Candidate]:
    """What is given, in its order, with names made from it.

    Raises
    ------
    BequeathError
        If one has no such form or no such file, is given twice, or there are fewer than two.
    """
    if len(given) < 2:
        raise BequeathError(f"candidates: {len(given)} given; a ranking needs two or more")
    twice = [text for place, text in enumerate(given) if text in given[:place]]
    if twice:
        raise BequeathError(f"candidate {twice[0]!r}: given twice; give each once")
    parts = [_parts(text) for text in given]
    short = [_short(architecture, weights) for architecture, weights in parts]
    names = [
        one if short.count(one) == 1 else text for one, text in zip(short, map(printable, given), strict=True)
    ]
    return [
        Candidate(name, text, architecture, weights)
        for name, text, (architecture, weights) in zip(names, given, parts, strict=True)
    ]


def _parts(text: str) -> tuple[str, str]:
    """Architecture and weights."""
    place = f"candidate {text!r}"
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise BequeathError(
                f"{place}: no config.json in this folder; give one written by save_pretrained"
            )
        return f"transformers:{path}", HUB
    if path.is_file():
        raise BequeathError(
            f"{place}: a file alone does not say what it belongs to; give ARCHITECTURE={text}"
        )
    source, colon, name = text.partition(":")
    if not (source and colon and name):
        raise BequeathError(f"{place}: no such folder, and no architecture's name; give {FORMS}")
    architecture, equals, weights = text.partition("=")
    if source == "bequeath":
        check_known(place, name.partition("=")[0], OURS)
    if not equals or Path(name).expanduser().is_dir():  # a folder's name may hold the sign
        if source not in SOURCES:
            raise BequeathError(f"{place}: its weights are not said; give {text}=STATE_FILE")
        return text, HUB
    if hub_entry(weights) is None and not (weights and Path(weights).expanduser().exists()):
        raise BequeathError(f"{place}: no such file: {weights!r}; give {architecture}=STATE_FILE")
    return architecture, weights if hub_entry(weights) is not None else str(Path(weights).expanduser())


def _short(architecture: str, weights: str) -> str:
    """The last part of the architecture's name, and of its weights where they are a file."""
    last = Path(architecture.partition(":")[2]).name or architecture
    if weights == HUB:
        return printable(last)
    stem = weights.partition(":")[2] if hub_entry(weights) is not None else Path(weights).stem
    return printable(stem if stem.startswith(last) else f"{last}={stem}")
