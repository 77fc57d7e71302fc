"""Candidates as the command line gives them: architecture, weights, and a name for each."""

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
        How pictures are prepared for it; None means as its library or folder says.
    """

    name: str
    given: str
    architecture: str
    weights: str
    options: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None


def candidates(given: Sequence[str]) -> list[Candidate]:
    """Read candidates, in their order, and make names for them.

    Parameters
    ----------
    given : sequence of str
        As `bequeath rank` takes them (docs/rank.md).

    Raises
    ------
    BequeathError
        If there are fewer than two, or one has an unknown form, names no existing file, or is given twice.

    Examples
    --------
    >>> [candidate.name for candidate in candidates(["torchvision:resnet18", "timm:vit_tiny_patch16_224"])]
    ['resnet18', 'vit_tiny_patch16_224']
    """
    if len(given) < 2:
        raise BequeathError(f"candidates: {len(given)} given; a ranking needs two or more")
    twice = [text for index, text in enumerate(given) if text in given[:index]]
    if twice:
        raise BequeathError(f"candidate {twice[0]!r}: given twice; give each once")
    sections = [_section(text) for text in given]
    short = [_short(section["architecture"], section["weights"]) for section in sections]
    names = [
        name if short.count(name) == 1 else text
        for name, text in zip(short, map(printable, given), strict=True)
    ]
    return [
        Candidate(name, text, section["architecture"], section["weights"], section.get("options", {}))
        for name, text, section in zip(names, given, sections, strict=True)
    ]


def _section(text: str) -> dict[str, Any]:
    """The section of a study file for a candidate, with weights for its backbone."""
    place = f"candidate {text!r}"
    if Path(text).expanduser().is_file():
        raise BequeathError(f"{place}: a file alone does not say its architecture; give ARCHITECTURE={text}")
    source, _, name = text.partition(":")
    if source == "bequeath":
        check_known(place, name.partition("=")[0], OURS)
    source_of_model = model_source("candidate", text, None)
    if source_of_model.adapter:
        raise BequeathError(f"{place}: a PEFT adapter, not a whole model; give the model that it adapts")
    if source_of_model.section.get("weights") is None:
        raise BequeathError(f"{place}: its weights are not given; give {text}=STATE_FILE")
    return source_of_model.section


def _short(architecture: str, weights: str) -> str:
    """A short name: the last part of the architecture's name and, unless they are the default, of the weights'."""
    model = Path(architecture.partition(":")[2]).name or architecture
    if weights == HUB:
        return printable(model)
    path = Path(weights)
    state = path.name if path.is_dir() else path.stem
    state = weights.partition(":")[2] if hub_entry(weights) is not None else state
    return printable(state if state.startswith(model) else f"{model}={state}")
