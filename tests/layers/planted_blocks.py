"""Tiny networks on the mean colour of a picture, in which exactly one block may lose what tells the classes."""

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


class Chain(nn.Module):
    # Three linear blocks on the mean colour.
    def __init__(self, num_classes):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(3, 3) for _ in range(3))
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.head(self.c(self.b(self.a(x.mean((2, 3))))))


class Normed(Chain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.norm = nn.BatchNorm1d(3)
        head = self.head
        del self.head
        self.head = head

    def forward(self, x):
        return self.head(self.norm(self.c(self.b(self.a(x.mean((2, 3)))))))


class Wide(Chain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.b = nn.Linear(3, 4)
        self.c = nn.Linear(4, 3)


class Other(Chain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        del self.head
        self.d = nn.Linear(3, 3)
        self.head = nn.Linear(3, num_classes)


class Backwards(Chain):
    def forward(self, x):
        return self.head(self.a(self.b(self.c(x.mean((2, 3))))))


class Single(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.head(self.a(x.mean((2, 3))))


class HeadAlone(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.head(x.mean((2, 3)))
"""

GREY = torch.full((3, 3), 1 / 3)
"""Colours become their mean: nothing tells the classes any more."""


def write_pictures(
    folder: Path, each: int, seed: int, names: tuple[str, ...] = ("blue", "green", "red")
) -> None:
    """Pictures of noise of one brightness, more of one colour in each class."""
    rng = np.random.default_rng(seed)
    for index, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 160, size=(8, 8, 3))
            pixels[..., 2 - index] += 80
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: planted_chain.py, and pictures in `data/train` and `data/val`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "planted_chain", raising=False)
    (tmp_path / "planted_chain.py").write_text(NETWORKS)
    write_pictures(tmp_path / "data/train", 16, 0)
    write_pictures(tmp_path / "data/val", 12, 1)
    return tmp_path


@pytest.fixture
def state(project):
    """A state file of a network whose blocks are the identity, but for those that are given: state("b", b=GREY)."""

    def make(name: str, network: str = "Chain", classes: int = 3, **blocks: torch.Tensor) -> str:
        import planted_chain

        model = getattr(planted_chain, network)(classes)
        with torch.no_grad():
            for path, module in model.named_children():
                if isinstance(module, torch.nn.Linear) and path != "head":
                    module.weight.copy_(blocks.get(path, torch.eye(*module.weight.shape)))
                    module.bias.zero_()
            # Class k is the one with most of colour 2 - k, whatever the brightness.
            model.head.weight.copy_(20 * (torch.eye(3).flip(0) - GREY)[:classes])
            model.head.bias.zero_()
        file = project / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
        return file.name

    return make
