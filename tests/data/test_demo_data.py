"""The data that the package carries."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("size", [28, 32, 57])
def test_pictures_are_resized_by_torch_as_when_the_demo_was_measured(size: int) -> None:
    test = fashion_mnist(size)[1]
    with np.load(str(files("bequeath.data") / "fashion_mnist.npz")) as arrays:
        grey = torch.tensor(arrays["x_test"][37])[None, None].float()
    expected = torch.nn.functional.interpolate(grey, size=(size, size), mode="bilinear", antialias=True)
    assert np.array_equal(test[37].picture, expected[0, 0].round()[..., None].expand(-1, -1, 3).numpy())


def test_its_licence_travels_with_it() -> None:
    assert "Zalando SE" in files("bequeath.data").joinpath("LICENSE.fashion-mnist").read_text("utf-8")
