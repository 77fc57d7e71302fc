"""Pre-trained weights that a library publishes, from its cache or from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.models.mobilenetv2 import imagenet_state
from bequeath.models.named import library, reason
from bequeath.models.state_files import read_state

HUB = "hub"
WHOLE = ["config.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"]
PICKLED = [
    "config.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*-of-*.bin",
]
# When torchvision loads ImageNet weights for these, it sets transform_input: the models then renormalise their inputs.
RENORMALISING = frozenset({"googlenet", "inception_v3"})


def hub_entry(weights: str | Path | None) -> str | None:
    """Which published weights are meant: "" for "hub", NAME for "hub:NAME"; None if `weights` is a path."""
    if not isinstance(weights, str) or weights.partition(":")[0] != HUB:
        return None
    return weights.partition(":")[2]


def hub_options(architecture: str) -> dict[str, Any]:
    """Arguments of the builder that its published weights need."""
    source, _, name = architecture.partition(":")
    return {"transform_input": True} if source == "torchvision" and name in RENORMALISING else {}


def hub_state(architecture: str, entry: str, options: dict[str, Any]) -> dict[str, Tensor]:
    """The pre-trained weights that an architecture's library publishes.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.
    entry : str
        Which of them: for torchvision an entry of the model's weights (``IMAGENET1K_V1``), for timm a tag
        (``augreg_in21k``), for transformers a revision; "" means the library's default.
    options : dict
        The builder's arguments. In timm they decide the sizes of some tensors.

    Returns
    -------
    dict of str to Tensor
        The state dict, on the CPU.

    Raises
    ------
    BequeathError
        If there are no such weights, or neither the cache nor the hub has them.
    """
    source, _, name = architecture.partition(":")
    place = f"weights of {architecture}"
    if source == "torchvision":
        return _torchvision(place, name, entry)
    if source == "timm":
        return _timm(place, name, entry, options)
    if source.startswith("transformers"):
        return read_state(hub_folder(place, name, entry))
    if source == "bequeath" and name == "mobilenet_v2" and entry in ("", "IMAGENET1K_V1"):
        return imagenet_state()
    raise BequeathError(
        f'{place}: there are no published weights "hub{":" if entry else ""}{entry}" for it; give a .safetensors or '
        ".pt file" + ("" if source == "bequeath" else ", or no weights if the function loads them itself")
    )


def torchvision_weights(place: str, name: str, entry: str) -> Any:
    """One entry of torchvision's weights for a model.

    Raises
    ------
    BequeathError
        If the model or the entry is unknown.
    """
    models = library(place, "torchvision.models", "vision")
    try:
        entries = models.get_model_weights(name)
    except ValueError as error:
        raise BequeathError(f"{place}: torchvision knows no such model; give another name") from error
    known = list(entries.__members__)
    if entry and entry not in known:
        raise BequeathError(f"{place}: no entry {entry!r}; there are {', '.join(known)}")
    return entries[entry] if entry else entries.DEFAULT


def _torchvision(place: str, name: str, entry: str) -> dict[str, Tensor]:
    weights = torchvision_weights(place, name, entry)
    try:
        # torch checks the hash only when it fetches the file, so a cached file cannot be trusted: weights_only.
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return state
    except Exception as error:  # network errors, damaged files
        import torch

        raise BequeathError(
            f"{place}: could not be fetched from the hub ({reason(error)}); download {weights.url} and give the "
            f"file, or put it into {torch.hub.get_dir()}/checkpoints"
        ) from error


def _timm(place: str, name: str, entry: str, options: dict[str, Any]) -> dict[str, Tensor]:
    timm = library(place, "timm", "vision")
    full = f"{name.partition('.')[0]}.{entry}" if entry else name
    try:
        config = timm.get_pretrained_cfg(full)
    except RuntimeError as error:
        raise BequeathError(f"{place}: {reason(error)}; timm.list_pretrained({name!r}) lists them") from error
    if config is None or not (config.has_weights or options.get("pretrained_cfg_overlay")):
        raise BequeathError(f"{place}: timm publishes none for {full}; give a .safetensors or .pt file")
    try:
        state: dict[str, Tensor] = timm.create_model(full, pretrained=True, **options).state_dict()
        return state
    except Exception as error:  # network errors, damaged files, options that the weights do not fit
        where = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
        raise BequeathError(
            f"{place}: could not be fetched from the hub ({reason(error)}); download them from {where} and give "
            "the file"
        ) from error


def hub_folder(place: str, name: str, revision: str = "") -> Path:
    """The folder with a hub model's config and weights: `name` if that is a folder, else the copy in the cache.

    Raises
    ------
    BequeathError
        If neither the cache nor the hub has the model.
    """
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    from huggingface_hub import snapshot_download

    try:
        for files in (WHOLE, PICKLED):
            folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=files))
            if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
                return folder
    except Exception as error:  # network errors, unknown names, and being offline
        raise BequeathError(
            f"{place}: not in the cache, and could not be fetched from the hub ({reason(error)}); download "
            f"https://huggingface.co/{name} and give the folder as transformers:FOLDER"
        ) from error
    raise BequeathError(
        f"{place}: {name} has no model.safetensors or pytorch_model.bin; give a folder written by save_pretrained"
    )
