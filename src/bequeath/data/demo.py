"""The data that the package carries: a balanced part of Fashion-MNIST (Zalando SE, MIT licence)."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bequeath.data.images import ImageArray
from bequeath.models.preprocessing import Preprocessing


def fashion_mnist(size: int) -> tuple[ImageArray, ImageArray]:
    """1,000 training and 500 test images of clothes, 28 x 28 grey, from the official splits; 10 classes.

    Every run of 10 images holds each class once, so every prefix of 10 * j images is balanced.
    `scripts/make_demo_data.py` writes the file again from the originals.

    Parameters
    ----------
    size : int
        Height and width that the model is given.

    Returns
    -------
    train, test : ImageArray
        Normalised with ImageNet's mean and standard deviation.
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
    """uint8 (n, height, width) -> (n, size, size) with torch's bilinear filter.

    Pillow's, which `Preprocessing` uses, rounds between its two passes; the demo's published numbers rest on torch's.
    """
    resized = np.empty((len(images), size, size), dtype=np.uint8)
    for first in range(0, len(images), 100):  # floats of a few at a time
        some = torch.from_numpy(images[first : first + 100, None]).float()
        some = F.interpolate(some, size=(size, size), mode="bilinear", antialias=True)[:, 0]
        resized[first : first + 100] = some.round().clamp(0, 255).to(torch.uint8).numpy()
    return resized
