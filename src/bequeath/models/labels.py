"""Which of a model's outputs belongs to which class, from the names in its config and the data's classes."""

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
# The names that transformers makes up for outputs without names.
_UNNAMED = re.compile(r"LABEL_\d+")


def output_names(architecture: str, weights: str | Path | None) -> tuple[str, ...] | None:
    """Names of a model's outputs, in their order, from its transformers config.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.
    weights : str, Path or None
        As for `load_model`. A config in the folder of the weights takes precedence over the architecture's, because
        fine-tuning may have put the outputs in another order.

    Returns
    -------
    tuple of str or None
        None if the outputs have no names: there is no config, or its names are like LABEL_0.

    Raises
    ------
    BequeathError
        If id2label and label2id contradict each other, or do not name the outputs 0, 1, ....
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
    """Find the output of each class by its name.

    Parameters
    ----------
    place : str
        Begins the errors.
    names : sequence of str or None
        The outputs' names, in their order; None if they have none.
    classes : sequence of str
        The data's classes.

    Returns
    -------
    tuple of int or None
        For each class, the index of its output. None: the k-th output is the k-th class.

    Raises
    ------
    BequeathError
        If outputs and classes have names, and these are not the same. Case does not matter.
    """
    if names is None or len(names) != len(classes):
        return None
    outputs = [_plain(name) for name in names]
    wanted = [_plain(name) for name in classes]
    if set(outputs) == set(wanted) and len(set(outputs)) == len(outputs):
        order = tuple(outputs.index(name) for name in wanted)
        return None if order == tuple(range(len(order))) else order
    if all(name.lstrip("-").isdecimal() for name in wanted):
        return None  # a class that is a number is an output's position
    raise BequeathError(
        f"{place}: its outputs are {few(names)} (config), but the data's classes are {few(classes)}; give the model "
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
        raise BequeathError(f"{file}: holds no JSON object; save the model again")
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
    """Names of the outputs 0, 1, ... in order; None if there are none, or they are transformers' own (LABEL_0)."""
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
