"""How a picture becomes a model's input: size, crop, interpolation, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bequeath.errors import BequeathError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Resize = Literal["crop", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Centre = Literal["nearest", "down"]


@dataclass(frozen=True)
class Preprocessing:
    """Turns an RGB picture into a normalised square image.

    Attributes
    ----------
    size : int
        Height and width of the model's input, in pixels.
    mean, std : tuple of float
        Normalisation of RGB values in 0..1: three values, one per channel. With a single value, the model has one
        channel, and the picture is turned to grey.
    resize : "crop" or "squash"
        "crop" scales the short side to `resize_to`, "squash" both sides; then the central `size` x `size` is cropped.
    resize_to : int or None
        Pixels of that side before the crop; None means `size`, so nothing is cropped from it.
    interpolation : "nearest", "bilinear", "bicubic" or "lanczos"
        Pillow's filter.
    centre : "nearest" or "down"
        How half pixels of the crop's position are rounded: to the nearest even pixel, as in torchvision and timm, or
        down, as in transformers.

    Raises
    ------
    BequeathError
        If a value is out of range, naming it.

    Examples
    --------
    >>> Preprocessing(size=96, resize_to=110).view(Image.new("RGB", (640, 480))).shape
    (96, 96, 3)
    """

    size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resize: Resize = "crop"
    resize_to: int | None = None
    interpolation: Interpolation = "bilinear"
    centre: Centre = "nearest"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise BequeathError(f"preprocessing: size {self.size}; give the model's input size in pixels")
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean) or not min(self.std) > 0:
            raise BequeathError(
                f"preprocessing: mean {tuple(self.mean)} and std {tuple(self.std)} must have 3 values each, or 1 for "
                "pictures in grey, std above 0"
            )
        if self.resize not in ("crop", "squash"):
            raise BequeathError(f'preprocessing: resize is "crop" or "squash", not {self.resize!r}')
        if self.resize_to is not None and self.resize_to < self.size:
            raise BequeathError(
                f"preprocessing: resize_to {self.resize_to} must be at least size {self.size}"
            )
        if self.interpolation not in ("nearest", "bilinear", "bicubic", "lanczos"):
            raise BequeathError(
                f"preprocessing: interpolation is nearest, bilinear, bicubic or lanczos, not {self.interpolation!r}"
            )
        if self.centre not in ("nearest", "down"):
            raise BequeathError(f'preprocessing: centre is "nearest" or "down", not {self.centre!r}')

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop an RGB picture to what the model sees.

        Returns
        -------
        ndarray
            uint8, shape (size, size, 3). Of a picture in grey, all three channels are the same.
        """
        if len(self.mean) == 1:
            image = image.convert("L").convert("RGB")
        resample = Image.Resampling[self.interpolation.upper()]
        short = self.resize_to or self.size
        width, height = image.size
        if self.resize == "squash":
            width, height = short, short
        # Rounded and centred as the model's library does, so that the model sees what it saw in training.
        elif width <= height:
            width, height = short, int(short * height / width)
        else:
            width, height = int(short * width / height), short
        image = image.resize((width, height), resample)
        left, top = (width - self.size) / 2, (height - self.size) / 2
        left, top = (int(left), int(top)) if self.centre == "down" else (round(left), round(top))
        image = image.crop((left, top, left + self.size, top + self.size))
        return np.array(image, dtype=np.uint8)

    def normalise(self, picture: NDArray[np.uint8]) -> Tensor:
        """Normalise uint8 pixels (height, width, 3) to float32 (channels, height, width): (x / 255 - mean) / std."""
        mean, std = torch.tensor([self.mean, self.std], dtype=torch.float32)[:, :, None, None]
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[: len(self.mean)]
        image: Tensor = (pixels.float() / 255 - mean) / std
        return image
