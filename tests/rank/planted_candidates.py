"""Tiny candidates: networks whose only feature is a picture's colour, or noise; pictures in class folders."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

NETWORKS = """
import torch
from torch import nn


class Colours(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.fc = nn.Linear(3, num_classes)

    def features(self, x):
        return x.mean((2, 3)) * self.scale

    def forward(self, x):
        return self.fc(self.features(x))


class Noise(Colours):
    def features(self, x):
        return torch.sin(9999 * x.mean((2, 3)) * self.scale)


class Broken(Colours):
    def features(self, x):
        return torch.log(-self.scale * torch.ones(len(x), 1))


class Patches(Colours):
    def features(self, x):
        return x.mean(3).transpose(1, 2) * self.scale


class Convolution(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(3, num_classes, 1)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""


def write_pictures(folder: Path, each: int, names: tuple[str, ...] = ("blue", "green", "red")) -> None:
    """Pictures of noise, a little more of one colour in each class."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 200, size=(10, 10, 3))
            pixels[..., 2 - index] += 50
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: planted_nets.py, pictures in `train`, and a function that gives a candidate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "planted_nets", raising=False)
    (tmp_path / "planted_nets.py").write_text(NETWORKS)
    write_pictures(tmp_path / "train", 12)
    return tmp_path


@pytest.fixture
def candidate(project):
    """A candidate of a network whose features are scaled: candidate("Colours", 2.0)."""

    def make(network: str, scale: float = 1.0, source_classes: int = 4) -> str:
        torch.manual_seed(int(scale))
        state = {"scale": torch.full((3,), scale)}
        state |= {
            "fc.weight": torch.randn(source_classes, 3),
            "fc.bias": torch.zeros(source_classes),
        }
        file = project / f"{network}-{scale}.safetensors"
        save_file(state, file)
        return f"planted_nets:{network}={file.name}"

    return make
