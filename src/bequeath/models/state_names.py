"""Names in state files against names in models: wrappings, and the libraries' own renamings."""

from __future__ import annotations

import copy
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError, BequeathWarning
from bequeath.models.state_sets import WRAPPERS, canonical

# Old files lack the first and carry the second; neither changes what a model in eval mode gives.
INCIDENTAL = ("num_batches_tracked", "position_ids")


def as_named_by(
    model: nn.Module, state: dict[str, Tensor], place: str, *, asked: bool = False
) -> dict[str, Tensor]:
    """A state under the model's own names, as far as they can be told; other names are kept.

    What wrappers put into names is taken out, and so is a common beginning (Lightning's ``model.``), where that makes
    them the model's; the base model's is put on. Names beside the model's common beginning are other objects'
    (losses, metrics, counters): they are left out, and a warning says so. Where names still do not fit, the model's
    own library is asked: transformers and timm rename what older versions and other authors saved. A tensor of
    another shape than the model's may come back without its values (on torch's "meta" device).

    Parameters
    ----------
    model, state, place
        What is named, and the state's name in errors.
    asked : bool
        Whether the user said which of several sets of weights this is; names as they stand then go first.

    Raises
    ------
    BequeathError
        If a file holds several models that all fit (an average beside its model, a student beside its teacher).
    """
    own = model.state_dict()
    renamed = state if _fits(state, set(own)) else _unwrapped(model, own, state, place, asked)
    if _fits(renamed, set(own)):
        return renamed
    library = type(model).__module__.partition(".")[0]
    try:
        if library == "transformers":
            return _transformers_names(model, renamed)
        if library == "timm":
            return _timm_names(model, renamed)
    except Exception:  # not a state of this library: what does not fit is reported by name
        return renamed
    if library == "torchvision":  # its DenseNet files are older than the layers' names
        return {
            re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)", r"\1\2", n): v for n, v in renamed.items()
        }
    return renamed


def _fits(state: dict[str, Tensor], wanted: set[str]) -> bool:
    return {name for name in wanted ^ set(state) if not name.endswith(INCIDENTAL)} == set()


def _unwrapped(
    model: nn.Module, own: Mapping[str, Tensor], state: dict[str, Tensor], place: str, asked: bool
) -> dict[str, Tensor]:
    """Names as the model has them, where one beginning, and wrappers taken out, make most of them so."""
    needed = {name: value for name, value in own.items() if not name.endswith(INCIDENTAL)}
    places = _places(state, own, getattr(model, "base_model_prefix", ""))
    fits = {start: _fitting(found, state, needed) for start, found in places.items()}
    best = max(places, key=lambda start: (*fits[start], -len(start)), default=None)
    if best is None or 2 * fits[best][0] < len(needed):
        return _without_common(state, {name for name, _ in model.named_children()})
    if best or not asked:
        rivals = [start for start in places if start != best and 2 * fits[start][1] >= len(needed)]
        message = f"{place}: holds several sets of weights that fit {type(model).__name__}"
        _check_one(message, places, best, rivals, state)
    return _moved(state, own, best, places[best], place)


def _moved(
    state: dict[str, Tensor], own: Mapping[str, Tensor], start: str, found: Mapping[str, str], place: str
) -> dict[str, Tensor]:
    """The state behind a beginning; what stands beside it is left out, and told."""
    renamed = {name: state[saved] for name, saved in found.items()}
    used, beside = set(found.values()), []
    for saved, value in state.items():
        if saved in used:
            continue
        bare = canonical(saved.removeprefix(f"{start}."))
        if saved in own and saved not in renamed:
            renamed[saved] = value
        elif not start or saved.startswith(f"{start}."):
            renamed[saved if bare in renamed else bare] = value
        elif not saved.endswith(INCIDENTAL):
            beside.append(saved)
    if beside:
        warnings.warn(
            f"{place}: not of the model, left out: {', '.join(beside[:4])}{', ...' if len(beside) > 4 else ''}",
            BequeathWarning,
            stacklevel=4,
        )
    return renamed


def _places(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], base_prefix: str
) -> dict[str, dict[str, str]]:
    """By what a name may begin with: the model's names, and the state's that are the same behind it."""
    alias: dict[str, str] = {}
    base = f"{base_prefix}." if base_prefix else ""
    for name in own:
        for short in {canonical(name), canonical(name.removeprefix(base))} - set(own):
            # Two names that differ by a wrapper only are told apart as they stand.
            alias[short] = "" if short in alias and alias[short] != name else name
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for saved in state:
        parts = saved.split(".")
        for i in range(len(parts)):
            behind = ".".join(parts[i:])
            bare = canonical(behind)
            name = behind if behind in own else bare if bare in own else alias.get(bare, "")
            if name and (behind == name or parts[i] not in WRAPPERS):
                start = ".".join(parts[:i])
                # As it stands goes before what only fits without its wrappers.
                if found[start].get(name) is None or behind == name:
                    found[start][name] = saved
    return _joined(found)


def _joined(found: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Beginnings that differ by wrappers only, such as "" and "module", are one, unless they are two models'."""
    joined: dict[str, dict[str, str]] = {}
    for start in sorted(found, key=len):
        to = next((one for one in joined if canonical(one) == canonical(start)), None)
        if to is None or joined[to].keys() & found[start].keys():
            joined[start] = dict(found[start])
        else:
            joined[to] |= found[start]
    return joined


def _fitting(
    found: Mapping[str, str], state: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> tuple[int, int]:
    """How many names that the model needs are there, and how many of them in its shapes."""
    there = [name for name in found if name in needed]
    return len(there), sum(state[found[name]].shape == needed[name].shape for name in there)


def _check_one(
    message: str,
    places: Mapping[str, Mapping[str, str]],
    best: str,
    rivals: Sequence[str],
    state: Mapping[str, Tensor],
) -> None:
    """Refuse a state that holds the model twice with other values: nothing says which one is meant."""
    found, used = places[best], set(places[best].values())
    for start in rivals:
        other = places[start]
        if used & set(other.values()) or all(
            name in found and torch.equal(state[found[name]], state[saved]) for name, saved in other.items()
        ):
            continue
        both = sorted((best, start))
        named = " and ".join(f"{one}.*" if one else "those that begin with no prefix" for one in both)
        raise BequeathError(
            f"{message}: {named}; say which is meant by weights_key, such as weights_key: {both[-1]}"
        )


def _without_common(state: dict[str, Tensor], children: set[str]) -> dict[str, Tensor]:
    """Without the beginning that all names have, unless the model has a part of that name."""
    while state:
        first, *others = {name.partition(".")[0] for name in state}
        if others or first in children or not all("." in name for name in state):
            break
        state = {name.partition(".")[2]: value for name, value in state.items()}
    return state


def _transformers_names(model: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    with quiet_transformers():
        loaded, report = type(model).from_pretrained(
            None,
            config=copy.deepcopy(model.config),
            state_dict=dict(state),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    absent = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    named = {name: value for name, value in loaded.state_dict().items() if name not in absent}
    for name, saved, _ in report["mismatched_keys"]:
        named[name] = torch.empty(tuple(saved), device="meta")
    return named | {name: state[name] for name in report["unexpected_keys"] if name in state}


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without its bars, and its table of names that do not fit: ours is the error, and the progress."""
    from transformers.utils import logging as library_logging

    logging: Any = library_logging  # untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _timm_names(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    converted: dict[str, Tensor] = convert(dict(state), model) if convert else state
    return converted
