"""Preprocessing against torchvision's transforms, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision_shim import ensure_torchvision

from bequeath.data import Preprocessing

SHAPES = [(40, 40), (61, 40), (40, 61), (333, 97), (97, 334), (224, 225), (31, 500), (20, 24), (57, 64)]
"""Height and width: square, odd and extreme, smaller than the model's input, one side already right."""


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(
    ("size", "resize", "resize_to"),
    [(57, "crop", 64), (64, "crop", None), (33, "crop", 38), (32, "crop", 37), (57, "squash", None)],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_view_and_normalise_are_torchvisions(
    shape: tuple[int, int], size: int, resize: str, resize_to: int | None, interpolation: str
) -> None:
    ensure_torchvision()
    from torchvision import transforms

    image = Image.fromarray(np.random.default_rng(shape[0]).integers(0, 256, (*shape, 3), dtype=np.uint8))
    preprocessing = Preprocessing(size, (0.5, 0.4, 0.3), (0.2, 0.3, 0.1), resize, resize_to, interpolation)
    target = (size, size) if resize == "squash" else resize_to or size
    mode = transforms.InterpolationMode(interpolation)
    theirs = transforms.Compose([transforms.Resize(target, mode), transforms.CenterCrop(size)])
    picture = preprocessing.view(image)
    assert np.array_equal(picture, np.asarray(theirs(image)))
    tensor = transforms.Normalize(preprocessing.mean, preprocessing.std)(transforms.ToTensor()(theirs(image)))
    assert torch.equal(preprocessing.normalise(picture), tensor)


@pytest.mark.parametrize("name", ["ResNet18_Weights", "EfficientNet_B0_Weights", "ViT_B_16_Weights"])
def test_a_published_models_view(name: str) -> None:
    ensure_torchvision()
    from torchvision import models

    theirs = getattr(models, name).DEFAULT.transforms()
    preprocessing = Preprocessing(
        theirs.crop_size[0],
        tuple(theirs.mean),
        tuple(theirs.std),
        resize_to=theirs.resize_size[0],
        interpolation=theirs.interpolation.value,
    )
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (375, 500, 3), dtype=np.uint8))
    assert torch.equal(preprocessing.normalise(preprocessing.view(image)), theirs(image))
