"""The data that the package carries."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from bequeath.data import batch, fashion_mnist


def test_fashion_mnist_is_whole_and_every_ten_are_balanced() -> None:
    train, test = fashion_mnist(32)
    assert (len(train), len(test)) == (1000, 500)
    assert train.classes == test.classes
    assert train.classes[0] == "T-shirt/top"
    for data in (train, test):
        assert (np.sort(np.reshape(data.labels, (-1, 10)), axis=1) == np.arange(10)).all()
    assert batch(test, range(3)).shape == (3, 3, 32, 32)
    assert test.source == "Fashion-MNIST, 500 test images at 32 x 32 pixels"


def test_its_licence_travels_with_it() -> None:
    assert "Zalando SE" in files("bequeath.data").joinpath("LICENSE.fashion-mnist").read_text("utf-8")
