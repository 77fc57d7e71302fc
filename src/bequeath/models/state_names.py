"""Names in state files against names in models: wrappings, and the libraries' own renamings."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# DataParallel and DDP; Lightning modules; torch.compile.
PREFIXES = ("module.", "model.", "_orig_mod.")
# Old files lack the first and carry the second; neither changes what a model in eval mode gives.
INCIDENTAL = ("num_batches_tracked", "position_ids")


def as_named_by(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state under the model's own names, as far as they can be told; other names are kept.

    Prefixes that wrappers put are taken off, and the base model's is put on. Where names still do not fit, the
    model's own library is asked: transformers and timm rename what older versions and other authors saved.
    A tensor of another shape than the model's may come back without its values (on torch's "meta" device).
    """
    wanted = set(model.state_dict())
    renamed = _rename(state, wanted, getattr(model, "base_model_prefix", ""))
    if _fits(renamed, wanted):
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


def _rename(state: dict[str, Tensor], wanted: set[str], base_prefix: str) -> dict[str, Tensor]:
    """Names as the model has them; one that fits already is never changed, one that never fits is kept."""
    renamed = {name: value for name, value in state.items() if name in wanted}
    for name, value in state.items():
        if name in wanted:
            continue
        bare = name
        while bare not in wanted and bare.startswith(PREFIXES):
            bare = bare[len(next(prefix for prefix in PREFIXES if bare.startswith(prefix))) :]
        if bare not in wanted and base_prefix:
            bare = f"{base_prefix}.{bare}"
        renamed[bare if bare in wanted and bare not in renamed else name] = value
    return renamed


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
