"""Architectures by name, with random weights: torchvision's, timm's, transformers', our own, or a user's builder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality
from bequeath.models.mlp import mlp
from bequeath.models.mobilenetv2 import mobilenet_v2
from bequeath.models.named import call_own, check_known, library, named_failure, own_function, reason, suggest

FORMS = (
    "torchvision:NAME, timm:NAME, transformers:FOLDER_OR_HUB_NAME, transformers-causal-lm:FOLDER_OR_HUB_NAME, "
    "bequeath:mobilenet_v2, bequeath:mlp or module:function"
)
OURS: dict[str, tuple[Callable[..., nn.Module], Modality]] = {
    "mobilenet_v2": (mobilenet_v2, "image"),
    "mlp": (mlp, "table"),
}
KINDS: dict[str, tuple[Modality, ...]] = {
    "bequeath": ("image", "table"),
    "timm": ("image",),
    "torchvision": ("image",),
    "transformers": ("image", "text"),
    "transformers-causal-lm": ("text",),
}
SOURCES = frozenset(KINDS)
SUGGESTED: dict[Modality, str] = {
    "image": "torchvision:NAME, timm:NAME, transformers:FOLDER",
    "text": "transformers:FOLDER",
    "table": "bequeath:mlp",
}


def build(architecture: str, num_classes: int, modality: Modality, **kwargs: Any) -> nn.Module:
    """Build a classifier with random weights, drawn from torch's global generator.

    Parameters
    ----------
    architecture : str
        ``torchvision:resnet18``, ``timm:vit_small_patch16_224``, ``transformers:FOLDER_OR_HUB_NAME`` (only
        its config is read), ``transformers-causal-lm:FOLDER_OR_HUB_NAME`` for a language model,
        ``bequeath:mobilenet_v2``, ``bequeath:mlp``, or ``module:function`` for any importable builder: the
        current folder is searched first, and `num_classes` is passed if the function takes it.
    num_classes : int
        Number of logits. A language model ignores it: its outputs are its vocabulary.
    modality : "image", "text" or "table"
        What the model classifies. For transformers it decides which head is built.
    **kwargs
        Passed to the builder.

    Returns
    -------
    nn.Module
        On the CPU, in the mode in which its builder returns it (usually training mode).

    Raises
    ------
    BequeathError
        If the name is unknown (close matches are listed), its library is not installed, or building fails.

    Examples
    --------
    >>> build("bequeath:mobilenet_v2", num_classes=10, modality="image")
    >>> build("bequeath:mlp", num_classes=2, modality="table", num_features=30, widths=(64, 64))
    >>> build("my_models:build_net", num_classes=10, modality="image", width=64)
    """
    place = f"architecture {architecture!r}"
    if num_classes < 1:
        raise BequeathError(f"{place}: num_classes is {num_classes}; give the number of classes of the data")
    if modality not in SUGGESTED:
        raise BequeathError(f'{place}: modality is "image", "text" or "table", not {modality!r}')
    source, colon, name = architecture.partition(":")
    if not (source and colon and name):
        known = get_close_matches(architecture, [f"bequeath:{ours}" for ours in OURS], 1, 0.7)
        raise BequeathError(f"{place}: {suggest(known)}give {FORMS}")
    if source in SOURCES:
        _check_kind(place, source, KINDS[source], modality)
    if source == "torchvision":
        return _torchvision(place, name, num_classes, kwargs)
    if source == "timm":
        return _timm(place, name, num_classes, kwargs)
    if source == "transformers":
        return _transformers(place, name, num_classes, modality, kwargs)
    if source == "transformers-causal-lm":
        return _transformers(place, name, None, modality, kwargs)
    if source == "bequeath":
        check_known(place, name, OURS)
        builder, own_modality = OURS[name]
        _check_kind(place, name, (own_modality,), modality)
        with named_failure(place):
            return builder(num_classes=num_classes, **kwargs)
    return _own(place, source, name, num_classes, kwargs)


def _check_kind(place: str, source: str, modalities: tuple[Modality, ...], modality: Modality) -> None:
    if modality not in modalities:
        raise BequeathError(
            f"{place}: {source} has {' and '.join(modalities)} models only, but the data are {modality}s; give "
            f"{SUGGESTED[modality]} or module:function"
        )


def _torchvision(place: str, name: str, num_classes: int, kwargs: dict[str, Any]) -> nn.Module:
    models = library(place, "torchvision.models", "vision")
    check_known(place, name, models.list_models(module=models))
    with named_failure(place):
        return _module(place, models.get_model(name, weights=None, num_classes=num_classes, **kwargs))


def _timm(place: str, name: str, num_classes: int, kwargs: dict[str, Any]) -> nn.Module:
    timm = library(place, "timm", "vision")
    if not timm.is_model(name):
        check_known(place, name, timm.list_models())
    with named_failure(place):
        return _module(place, timm.create_model(name, pretrained=False, num_classes=num_classes, **kwargs))


def _transformers(
    place: str, name: str, num_classes: int | None, modality: Modality, kwargs: dict[str, Any]
) -> nn.Module:
    """A classifier, or a causal language model if `num_classes` is None."""
    transformers = library(place, "transformers", "text")
    for option in ("trust_remote_code", "allow_all_kernels"):
        if kwargs.pop(option, False):
            raise BequeathError(
                f"{place}: {option} would run code from elsewhere; leave it out, or build the model in your own "
                "function and give module:function"
            )
    with named_failure(place):
        if num_classes is None:
            auto = transformers.AutoModelForCausalLM
        elif modality == "text":
            auto = transformers.AutoModelForSequenceClassification
        else:
            auto = transformers.AutoModelForImageClassification
        config = transformers_config(place, name)
        if num_classes is not None and config.num_labels != num_classes:
            config.num_labels = num_classes
        # If the config names no architecture, transformers 5 cannot choose between DeiT's two classifiers.
        config.architectures = config.architectures or []
        # Value tables need float32, whatever dtype the weights were stored in.
        model: nn.Module = auto.from_config(config, trust_remote_code=False, **kwargs).float()
        return model


def transformers_config(place: str, name: str) -> Any:
    """The config of a folder or of a hub name; code that comes with it is not run."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BequeathError(
                f"{place}: no config.json in {folder}; give a folder written by save_pretrained"
            )
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:  # a hub name is NAME or OWNER/NAME
        raise BequeathError(
            f"{place}: no folder {folder}; give a folder written by save_pretrained, or a hub name"
        )
    from transformers import AutoConfig

    try:
        # Explicit, because transformers would otherwise ask on the terminal when a folder has its own code.
        return AutoConfig.from_pretrained(folder if folder.is_dir() else name, trust_remote_code=False)
    except OSError as error:
        raise BequeathError(
            f"{place}: {name} is no folder here, and its config could not be fetched from the hub "
            f"({reason(error)}); give a folder written by save_pretrained"
        ) from error


def _own(place: str, source: str, name: str, num_classes: int, kwargs: dict[str, Any]) -> nn.Module:
    builder = own_function(place, f"{source}:{name}", FORMS, SOURCES)
    with named_failure(place):
        if _takes(builder, "num_classes"):
            kwargs = {"num_classes": num_classes, **kwargs}
        return _module(place, call_own(builder, **kwargs))


def _takes(builder: Any, argument: str) -> bool:
    parameters = inspect.signature(builder).parameters.values()
    return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)


def _module(place: str, built: Any) -> nn.Module:
    if not isinstance(built, nn.Module):
        raise BequeathError(f"{place}: returns a {type(built).__name__}; it must return a torch.nn.Module")
    return built
