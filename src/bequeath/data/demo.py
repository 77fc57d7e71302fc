"""The data that the package includes: a balanced part of Fashion-MNIST (Zalando SE, MIT licence)."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bequeath.data.images import ImageArray
from bequeath.models.preprocessing import Preprocessing


def fashion_mnist(size: int) -> tuple[ImageArray, ImageArray]:
    """Load 1,000 training and 500 test images of clothes, 28 x 28 pixels in grey, in 10 classes.

    They come from Fashion-MNIST's official splits. Each group of 10 images holds each class once, so the first 10 * j
    images are balanced. `scripts/make_demo_data.py` makes the file from the originals.

    Parameters
    ----------
    size : int
        Height and width of the model's input, in pixels.

    Returns
    -------
    train, test : ImageArray
        Normalised with ImageNet's mean and standard deviation.

    Examples
    --------
    >>> train, test = fashion_mnist(32)
    >>> len(train), test[0].x.shape
    (1000, torch.Size([3, 32, 32]))
    """
    preprocessing = Preprocessing(size)
    with (
        files("bequeath.data").joinpath("fashion_mnist.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        classes = [str(name) for name in arrays["classes"]]
        train, test = (
            ImageArray(
                _resized(arrays[f"x_{split}"], size),
                arrays[f"y_{split}"],
                classes,
                preprocessing,
                source=f"Fashion-MNIST, {len(arrays[f'y_{split}'])} {split} images at {size} x {size} pixels",
            )
            for split in ("train", "test")
        )
    return train, test


def _resized(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize images, uint8 (n, height, width), to (n, size, size) with torch's bilinear filter.

    `Preprocessing` uses Pillow's filter, which rounds between its two passes. The demo's published numbers come from
    torch's.
    """
    resized = np.empty((len(images), size, size), dtype=np.uint8)
    for first in range(0, len(images), 100):  # in batches, because floats take four times the memory
        batch = torch.from_numpy(images[first : first + 100, None]).float()
        batch = F.interpolate(batch, size=(size, size), mode="bilinear", antialias=True)[:, 0]
        resized[first : first + 100] = batch.round().clamp(0, 255).to(torch.uint8).numpy()
    return resized
