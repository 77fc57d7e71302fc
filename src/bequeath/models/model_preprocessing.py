"""The preprocessing that a model was trained with, from its library."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from torch import nn

from bequeath.errors import BequeathError
from bequeath.models.hub import hub_entry, torchvision_weights
from bequeath.models.named import library
from bequeath.models.preprocessing import Interpolation, Preprocessing

PROCESSOR = "preprocessor_config.json"
# Pillow's numbers, which transformers writes.
RESAMPLING: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
# Processors of transformers that only resize, crop, rescale and normalise.
PLAIN = (
    "BeitImage",
    "BitImage",
    "CLIPImage",
    "DeiTImage",
    "MobileNetV1Image",
    "MobileNetV2Image",
    "PvtImage",
    "SiglipImage",
    "ViTImage",
)


def preprocessing_of(
    architecture: str, weights: str | Path | None = None, model: nn.Module | None = None
) -> Preprocessing | None:
    """Look up how a model's library prepares pictures: size, crop, interpolation, normalisation.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`. torchvision: the transforms of the weights; timm: its data config;
        transformers: preprocessor_config.json of the folder or the hub name; ``bequeath:mobilenet_v2``: as
        torchvision's.
    weights : str, Path or None
        Which of several published weights: "hub", "hub:NAME", or a file that still has its published name. By
        default, and for files with other names, the library's default weights. For transformers, a folder of weights
        with a preprocessor_config.json takes precedence over the architecture's.
    model : nn.Module, optional
        The built model. A model of timm has its own config, which knows an image size given as an option.

    Returns
    -------
    Preprocessing or None
        None if it is not known (own builders, texts, no such file), or if `Preprocessing` cannot express it
        (input that is not square, padding).

    Raises
    ------
    BequeathError
        If torchvision knows no such model or weights, or a preprocessor_config.json cannot be read.

    Examples
    --------
    >>> preprocessing_of("bequeath:mobilenet_v2").size
    224
    """
    source, _, name = architecture.partition(":")
    if isinstance(getattr(model, "pretrained_cfg", None), dict):
        return _timm({}, model)
    if source == "torchvision":
        return _torchvision(f"architecture {architecture!r}", name, weights)
    if source == "timm":
        return _timm_by_name(architecture, name, weights)
    if source == "transformers":
        return _transformers(architecture, name, weights)
    if architecture == "bequeath:mobilenet_v2":
        return Preprocessing(224, resize_to=256)
    return None


def _torchvision(place: str, name: str, weights: str | Path | None) -> Preprocessing | None:
    entry = hub_entry(weights)
    chosen = torchvision_weights(place, name, entry or "")
    if entry is None and weights is not None:
        file = Path(weights).name
        chosen = next((entry for entry in type(chosen) if entry.url.rpartition("/")[2] == file), chosen)
    preset = chosen.transforms()
    (short,) = preset.resize_size
    (size,) = preset.crop_size
    return _checked(size, preset.mean, preset.std, "crop", short, preset.interpolation.value)


def _timm_by_name(architecture: str, name: str, weights: str | Path | None) -> Preprocessing | None:
    timm = library(f"architecture {architecture!r}", "timm", "vision")
    entry = hub_entry(weights)
    full = f"{name.partition('.')[0]}.{entry}" if entry else name
    try:
        config = timm.get_pretrained_cfg(full)
    except RuntimeError as error:
        raise BequeathError(
            f"architecture {architecture!r}: timm has no pre-trained config {full}"
        ) from error
    return None if config is None else _timm(config.to_dict(), None)


def _timm(config: dict[str, Any], model: nn.Module | None) -> Preprocessing | None:
    from timm.data import resolve_data_config, resolve_model_data_config

    data = (
        resolve_data_config({}, pretrained_cfg=config) if model is None else resolve_model_data_config(model)
    )
    channels, height, width = data["input_size"]
    if channels != 3 or height != width or data["crop_mode"] not in ("center", "squash"):
        return None
    resize = "squash" if data["crop_mode"] == "squash" else "crop"
    short = math.floor(height / data["crop_pct"])
    return _checked(height, data["mean"], data["std"], resize, short, data["interpolation"])


def _transformers(architecture: str, name: str, weights: str | Path | None) -> Preprocessing | None:
    folders = [Path(given).expanduser() for given in (weights, name) if given is not None]
    where: Any = next((folder for folder in folders if (folder / PROCESSOR).is_file()), None)
    if where is None and folders[-1].is_dir():
        return None
    where = where or name
    transformers = library(f"architecture {architecture!r}", "transformers", "text")
    try:
        if isinstance(where, Path):  # transformers reports a damaged file as missing
            json.loads((where / PROCESSOR).read_text(encoding="utf-8"))
        processor = transformers.AutoImageProcessor.from_pretrained(where, trust_remote_code=False)
    except OSError:  # neither in the cache nor on the hub
        return None
    except Exception as error:
        raise BequeathError(
            f"{where}/{PROCESSOR}: cannot be read ({type(error).__name__}); give size, mean and std yourself"
        ) from error
    return _of_processor(processor)


def _of_processor(processor: Any) -> Preprocessing | None:
    kind = type(processor).__name__
    known = kind.startswith((*PLAIN, "ConvNextImage"))
    if not known or not processor.do_resize or getattr(processor, "do_pad", None):
        return None
    # transformers computes (x * factor - mean) / std for x in 0..255; here x is in 0..1.
    scale = 255 * (processor.rescale_factor if processor.do_rescale else 1)
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
    mean, std = [
        tuple(channel / scale for channel in (v if isinstance(v, (list, tuple)) else (v,) * 3))
        for v in (mean, std)
    ]
    size, crop = dict(processor.size), dict(processor.crop_size or {}) if processor.do_center_crop else {}
    short = size.get("shortest_edge")
    if kind.startswith("ConvNextImage"):
        if short is None or crop:
            return None
        if short >= 384:
            crop, resize, to = {}, "squash", short
        else:
            crop, resize, to = {"height": short, "width": short}, "crop", int(short / processor.crop_pct)
    elif short is not None:
        resize, to = "crop", short
        if not crop or size.get("longest_edge"):
            return None
    elif size.get("height") and size.get("height") == size.get("width"):
        resize, to = "squash", size["height"]
    else:
        return None
    cut = crop.get("height", to)
    if cut != crop.get("width", to) or cut > to or int(processor.resample) not in RESAMPLING:
        return None
    return _checked(cut, mean, std, resize, to, RESAMPLING[int(processor.resample)], "down")


def _checked(
    size: Any, mean: Any, std: Any, resize: str, short: Any, interpolation: str, centre: str = "nearest"
) -> Preprocessing | None:
    if interpolation not in RESAMPLING.values() or short < size:
        return None
    three = tuple[float, float, float]
    return Preprocessing(
        int(size),
        cast(three, tuple(mean)),
        cast(three, tuple(std)),
        cast(Any, resize),
        None if short == size else int(short),
        cast(Interpolation, interpolation),
        cast(Any, centre),
    )
