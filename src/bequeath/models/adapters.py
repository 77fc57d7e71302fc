"""PEFT adapters on a base model, merged into its weights."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.models.named import library, reason
from bequeath.models.state_files import ADAPTER_CONFIG, ADAPTER_FILES, read_state

PREFIX = "base_model.model."


def load_adapter(model: nn.Module, folder: str | Path) -> nn.Module:
    """Put a PEFT adapter on a loaded base model and merge it into the weights.

    Parameters
    ----------
    model : nn.Module
        The base with the weights that the adapter was trained on; left as it is.
    folder : str or Path
        Written by PEFT's `save_pretrained`: adapter_config.json and adapter_model.safetensors (or .bin, of which
        only tensors are read). Layers that were trained beside the adapter (`modules_to_save`, mostly the head)
        come with it.

    Returns
    -------
    nn.Module
        A copy of the base, of the same class and in eval mode, with the adapter merged into its weights.

    Raises
    ------
    BequeathError
        If a file is missing or cannot be read, the adapter's layers or shapes are not the base's, or it is of a
        kind that cannot be merged (prompts and prefixes).

    Examples
    --------
    >>> base = load_model("transformers:bert", "bert/model.safetensors", 2, "text", new_head=True)
    >>> adapted = load_adapter(base, "lora/checkpoint-500")
    """
    folder = Path(folder)
    place = f"adapter {folder}"
    kind = _kind(place, folder)
    state = _state(place, folder)
    _check_layers(place, state, model)
    peft = library(place, "peft", "text")
    try:
        # The file was read above without running code; PEFT, too, reads pickles with weights_only.
        adapted = peft.PeftModel.from_pretrained(copy.deepcopy(model), str(folder), torch_device="cpu")
        expected = set(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
        merge = getattr(adapted, "merge_and_unload", None)
        merged = merge() if merge is not None else None
    except Exception as error:  # PEFT raises errors of many types where an adapter does not fit
        raise BequeathError(
            f"{place}: does not fit {type(model).__name__} ({_short(error)}); give the base that it was trained "
            "on, with its number of classes"
        ) from error
    if not isinstance(merged, nn.Module):
        raise _no_weights(place, kind)
    # PEFT only warns where names are missing or unexpected.
    base_names = set(model.state_dict())
    missing = sorted(expected - set(state))
    unexpected = [
        name for name in state if name not in expected and name.removeprefix(PREFIX) not in base_names
    ]
    for names, problem in (
        (missing, "is missing from it"),
        (unexpected, f"is in it, but {ADAPTER_CONFIG} does not describe it"),
    ):
        if names:
            raise BequeathError(
                f"{place}: {names[0].removeprefix(PREFIX)} {problem} ({len(names)} such); save the adapter again"
            )
    return merged.requires_grad_(False).eval()


def _kind(place: str, folder: Path) -> str:
    file = folder / ADAPTER_CONFIG
    if not file.is_file():
        problem = f"no {ADAPTER_CONFIG} in it" if folder.is_dir() else "no such folder"
        raise BequeathError(f"{place}: {problem}; give a folder written by PEFT's save_pretrained")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        kind = content["peft_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise BequeathError(
            f"{place}: {ADAPTER_CONFIG} names no peft_type; save the adapter again"
        ) from error
    if content.get("megatron_config"):  # PEFT would import the module that the config names
        raise BequeathError(
            f"{place}: {ADAPTER_CONFIG} names a module to import (megatron_core), but a data file may not run code; "
            "save the adapter without megatron_config"
        )
    if "PROMPT" in str(kind) or kind in ("P_TUNING", "PREFIX_TUNING"):
        raise _no_weights(place, kind)
    return str(kind)


def _no_weights(place: str, kind: str) -> BequeathError:
    return BequeathError(
        f"{place}: {kind} adds inputs, not weights, and cannot be merged; give LoRA or another adapter of weights"
    )


def _state(place: str, folder: Path) -> dict[str, Tensor]:
    files = [folder / name for name in ADAPTER_FILES if (folder / name).is_file()]
    if not files:
        raise BequeathError(f"{place}: no {' or '.join(ADAPTER_FILES)} in it; save the adapter again")
    return read_state(files[0])


def _check_layers(place: str, state: dict[str, Tensor], model: nn.Module) -> None:
    """Refuse an adapter for layers that the base does not have: PEFT would drop them silently."""
    modules = dict(model.named_modules())
    for name in state:
        path = name.removeprefix(PREFIX)
        parts = path.split(".")
        deepest = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in modules), 0)
        # Below a layer's path come only PEFT's own parts (lora_A.weight) or the layer's own weight.
        if deepest == 0 or parts[deepest].isdigit():
            raise BequeathError(
                f"{place}: it changes {path}, but {type(model).__name__} has no such layer; give the base that it "
                "was trained on"
            )


def _short(error: Exception) -> str:
    mismatch = re.search(r"size mismatch for (\S+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]", str(error), re.DOTALL)
    if mismatch is None:
        return reason(error)
    name = re.sub(r"\.modules_to_save|\.default", "", mismatch[1].removeprefix(PREFIX))
    return f"{name} has shape ({mismatch[2]}) in it, the base needs ({mismatch[3]})"
