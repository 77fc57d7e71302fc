"""Candidates as they are given on the command line: what each one is, and a name for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.models.architectures import OURS
from bequeath.models.hub import HUB, hub_entry
from bequeath.models.named import check_known
from bequeath.models.preprocessing import Preprocessing
from bequeath.printable import printable
from bequeath.study.direct.models import model_source


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
    options : mapping
        Keyword arguments of the architecture.
    preprocessing : Preprocessing or None
        How it is given pictures; None: as its library or folder says.
    """

    name: str
    given: str
    architecture: str
    weights: str
    options: Mapping[str, Any] = field(default_factory=dict)
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
    found = [_section(text) for text in given]
    short = [_short(one["architecture"], one["weights"]) for one in found]
    names = [
        one if short.count(one) == 1 else text for one, text in zip(short, map(printable, given), strict=True)
    ]
    return [
        Candidate(name, text, one["architecture"], one["weights"], one.get("options", {}))
        for name, text, one in zip(names, given, found, strict=True)
    ]


def _section(text: str) -> dict[str, Any]:
    """What a study file would say of it, with the weights of a backbone."""
    place = f"candidate {text!r}"
    if Path(text).expanduser().is_file():
        raise BequeathError(
            f"{place}: a file alone does not say what it belongs to; give ARCHITECTURE={text}"
        )
    source, _, name = text.partition(":")
    if source == "bequeath":
        check_known(place, name.partition("=")[0], OURS)
    found = model_source("candidate", text, None)
    if found.adapter:
        raise BequeathError(f"{place}: a PEFT adapter, not a whole model; give the model that it is put onto")
    if found.section.get("weights") is None:
        raise BequeathError(f"{place}: its weights are not said; give {text}=STATE_FILE")
    return found.section


def _short(architecture: str, weights: str) -> str:
    """The last part of the architecture's name, and of its weights where they are a file."""
    last = Path(architecture.partition(":")[2]).name or architecture
    if weights == HUB:
        return printable(last)
    path = Path(weights)
    own = path.name if path.is_dir() else path.stem
    own = weights.partition(":")[2] if hub_entry(weights) is not None else own
    return printable(own if own.startswith(last) else f"{last}={own}")
