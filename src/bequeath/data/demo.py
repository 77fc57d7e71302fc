"""The data that the package carries: a balanced part of Fashion-MNIST (Zalando SE, MIT licence)."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from bequeath.data.images import ImageArray


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
    with (
        files("bequeath.data").joinpath("fashion_mnist.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        classes = [str(name) for name in arrays["classes"]]
        train, test = (
            ImageArray(
                arrays[f"x_{split}"],
                arrays[f"y_{split}"],
                classes,
                size,
                source=f"Fashion-MNIST, {len(arrays[f'y_{split}'])} {split} images at {size} x {size} pixels",
            )
            for split in ("train", "test")
        )
    return train, test
