"""Translates the names in state files to a model's own: takes wrappers off, and asks the model's library."""

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

from bequeath.errors import BequeathError, BequeathWarning, few
from bequeath.models.state_sets import WRAPPERS, canonical

# Old files lack the first and hold the second. Neither changes the outputs of a model in eval mode.
INCIDENTAL = ("num_batches_tracked", "position_ids")


def as_named_by(
    model: nn.Module, state: dict[str, Tensor], place: str, *, asked: bool = False
) -> dict[str, Tensor]:
    """Translate the names of a state dict to the model's own, as far as possible; other names are kept.

    What wrappers add to names is removed. So is a common prefix (Lightning's ``model.``), if the names without it are
    the model's; the prefix of a base model is added. Names without the common prefix belong to other objects (losses,
    metrics, counters): they are left out, and a warning says so. If names still do not fit, the model's own library
    is asked: transformers and timm rename what older versions and other authors saved. A tensor whose shape is not
    the model's may lose its values (it is then on torch's "meta" device).

    Parameters
    ----------
    model : nn.Module
        The model whose names are wanted.
    state : dict of str to Tensor
        The state dict as saved.
    place : str
        Begins the errors.
    asked : bool
        Whether the user chose this set of weights; names that fit without a change then take precedence.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    BequeathError
        If several models in the state dict fit (an average and the model itself, a student and its teacher).
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
    except Exception:  # the library cannot read this state: `fit_state` reports the names that do not fit
        return renamed
    if library == "torchvision":  # its DenseNet files still have old names of layers
        return {
            re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)", r"\1\2", n): v for n, v in renamed.items()
        }
    return renamed


def _fits(state: dict[str, Tensor], wanted: set[str]) -> bool:
    return {name for name in wanted ^ set(state) if not name.endswith(INCIDENTAL)} == set()


def _unwrapped(
    model: nn.Module, own: Mapping[str, Tensor], state: dict[str, Tensor], place: str, asked: bool
) -> dict[str, Tensor]:
    """The state under the model's names, if most names fit once a prefix and wrappers are removed."""
    needed = {name: value for name, value in own.items() if not name.endswith(INCIDENTAL)}
    matches = _matches(state, own, getattr(model, "base_model_prefix", ""))
    fits = {prefix: _count_fitting(saved_as, state, needed) for prefix, saved_as in matches.items()}
    best = max(matches, key=lambda prefix: (*fits[prefix], -len(prefix)), default=None)
    if best is None or 2 * fits[best][0] < len(needed):
        return _without_common_prefix(state, {name for name, _ in model.named_children()})
    if best or not asked:
        rivals = [prefix for prefix in matches if prefix != best and 2 * fits[prefix][1] >= len(needed)]
        message = f"{place}: holds several sets of weights that fit {type(model).__name__}"
        _check_single(message, matches, best, rivals, state)
    return _renamed(state, own, best, matches[best], place)


def _renamed(
    state: dict[str, Tensor], own: Mapping[str, Tensor], prefix: str, saved_as: Mapping[str, str], place: str
) -> dict[str, Tensor]:
    """The state with the prefix removed. Names without the prefix are left out, with a warning."""
    renamed = {name: state[saved] for name, saved in saved_as.items()}
    used, left_out = set(saved_as.values()), []
    for saved, value in state.items():
        if saved in used:
            continue
        bare = canonical(saved.removeprefix(f"{prefix}."))
        if saved in own and saved not in renamed:
            renamed[saved] = value
        elif not prefix or saved.startswith(f"{prefix}."):
            renamed[saved if bare in renamed else bare] = value
        elif not saved.endswith(INCIDENTAL):
            left_out.append(saved)
    if left_out:
        warnings.warn(
            f"{place}: left out, since they are not the model's: {few(left_out, 4)}",
            BequeathWarning,
            stacklevel=4,
        )
    return renamed


def _matches(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], base_prefix: str
) -> dict[str, dict[str, str]]:
    """For each possible prefix, the model's names that fit with it, and the state's name for each."""
    alias: dict[str, str] = {}
    base = f"{base_prefix}." if base_prefix else ""
    for name in own:
        for short in {canonical(name), canonical(name.removeprefix(base))} - set(own):
            # If two names differ by a wrapper only, the short name is ambiguous and stands for neither.
            alias[short] = "" if short in alias and alias[short] != name else name
    matches: dict[str, dict[str, str]] = defaultdict(dict)
    for saved in state:
        parts = saved.split(".")
        for i in range(len(parts)):
            rest = ".".join(parts[i:])
            bare = canonical(rest)
            name = rest if rest in own else bare if bare in own else alias.get(bare, "")
            if name and (rest == name or parts[i] not in WRAPPERS):
                prefix = ".".join(parts[:i])
                # A name that fits unchanged takes precedence over one that fits only without its wrappers.
                if matches[prefix].get(name) is None or rest == name:
                    matches[prefix][name] = saved
    return _joined(matches)


def _joined(matches: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Join prefixes that differ by wrappers only, such as "" and "module", unless they belong to two models."""
    joined: dict[str, dict[str, str]] = {}
    for prefix in sorted(matches, key=len):
        same = next((other for other in joined if canonical(other) == canonical(prefix)), None)
        if same is None or joined[same].keys() & matches[prefix].keys():
            joined[prefix] = dict(matches[prefix])
        else:
            joined[same] |= matches[prefix]
    return joined


def _count_fitting(
    saved_as: Mapping[str, str], state: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> tuple[int, int]:
    """How many of the names that the model needs are in the state, and how many of these have the right shape."""
    present = [name for name in saved_as if name in needed]
    return len(present), sum(state[saved_as[name]].shape == needed[name].shape for name in present)


def _check_single(
    message: str,
    matches: Mapping[str, Mapping[str, str]],
    best: str,
    rivals: Sequence[str],
    state: Mapping[str, Tensor],
) -> None:
    """Refuse a state that holds the model twice with different values, since it is not clear which is meant."""
    saved_as, used = matches[best], set(matches[best].values())
    for prefix in rivals:
        other = matches[prefix]
        if used & set(other.values()) or all(
            name in saved_as and torch.equal(state[saved_as[name]], state[saved])
            for name, saved in other.items()
        ):
            continue
        both = sorted((best, prefix))
        named = " and ".join(f"{start}.*" if start else "those without a prefix" for start in both)
        raise BequeathError(f"{message}: {named}; choose with weights_key, such as weights_key: {both[-1]}")


def _without_common_prefix(state: dict[str, Tensor], children: set[str]) -> dict[str, Tensor]:
    """Remove the prefix that all names share, unless the model has a part of that name."""
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
    not_loaded = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    named = {name: value for name, value in loaded.state_dict().items() if name not in not_loaded}
    for name, saved, _ in report["mismatched_keys"]:
        named[name] = torch.empty(tuple(saved), device="meta")
    return named | {name: state[name] for name in report["unexpected_keys"] if name in state}


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' progress bars and its table of names that do not fit: we report both ourselves."""
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
