"""Which of a model's outputs is which class: what its config says, against the data's classes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, few
from bequeath.models.architectures import transformers_config
from bequeath.models.hub import hub_entry

CONFIG = "config.json"
# As transformers names outputs that nobody named.
_UNNAMED = re.compile(r"LABEL_\d+")


def output_names(architecture: str, weights: str | Path | None) -> tuple[str, ...] | None:
    """Names of a model's outputs, in their order, as its transformers config gives them.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.
    weights : str, Path or None
        As for `load_model`. The config in the weights' own folder goes before the architecture's: who fine-tunes a
        model may put its outputs in another order.

    Returns
    -------
    tuple of str or None
        None where nothing names them: no config, or names such as LABEL_0.

    Raises
    ------
    BequeathError
        If id2label and label2id contradict each other, or are no lists of names.
    """
    if weights is not None and hub_entry(weights) is None:
        path = Path(weights)
        file = (path if path.is_dir() else path.parent) / CONFIG
        if file.is_file():
            return _names(str(file), _read(file))
    source, _, name = architecture.partition(":")
    if source != "transformers":
        return None
    config = transformers_config(f"architecture {architecture!r}", name)
    return _names(architecture, {"id2label": config.id2label, "label2id": config.label2id})


def output_order(place: str, names: Sequence[str] | None, classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each class the output that stands for it; None: the k-th output is the k-th class.

    Parameters
    ----------
    place : str
        Begins the errors.
    names : sequence of str or None
        Of the outputs, in their order; None where they have none.
    classes : sequence of str
        The data's.

    Raises
    ------
    BequeathError
        If the outputs have names, the classes too, and they are not the same ones. Case does not matter.
    """
    if names is None or len(names) != len(classes):
        return None
    outputs = [_plain(name) for name in names]
    wanted = [_plain(name) for name in classes]
    if set(outputs) == set(wanted) and len(set(outputs)) == len(outputs):
        order = tuple(outputs.index(name) for name in wanted)
        return None if order == tuple(range(len(order))) else order
    if all(name.lstrip("-").isdecimal() for name in wanted):
        return None  # a number is an output's place
    raise BequeathError(
        f"{place}: its outputs are {few(names)} (config), the data's classes {few(classes)}; give the model "
        f"labels: [...], the data's classes in the order of its outputs"
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BequeathError(f"{file}: cannot be read ({error}); save the model again") from error
    if not isinstance(content, dict):
        raise BequeathError(f"{file}: no JSON object; save the model again")
    return content


def _names(place: str, config: Mapping[str, Any]) -> tuple[str, ...] | None:
    by_number = _listed(place, "id2label", config.get("id2label"))
    pairs = config.get("label2id")
    inverse = {number: name for name, number in pairs.items()} if isinstance(pairs, Mapping) else None
    by_name = _listed(place, "label2id", inverse)
    if by_number and by_name and by_number != by_name:
        raise BequeathError(
            f"{place}: id2label says {few(by_number)}, label2id {few(by_name)}; correct the config, or give the model "
            "labels: [...], the data's classes in the order of its outputs"
        )
    return by_number or by_name


def _listed(place: str, key: str, pairs: Any) -> tuple[str, ...] | None:
    """Names by number 0, 1, ... in order; None where there are none, or nobody gave them."""
    if not pairs:
        return None
    try:
        named = {int(number): str(name) for number, name in pairs.items()}
    except (AttributeError, TypeError, ValueError):
        named = {}
    if sorted(named) != list(range(len(named))) or not named:
        raise BequeathError(f"{place}: {key} is {str(pairs)[:80]}; it must name the outputs 0, 1, ...")
    names = tuple(named[number] for number in range(len(named)))
    return None if all(_UNNAMED.fullmatch(name) for name in names) else names
