"""Makes tests/torchvision_shim.py importable, and a small model and images for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_models import TinyNet
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from torchvision_shim import mend_torchvision


@pytest.fixture
def transformers() -> ModuleType:
    """The library, or a skip."""
    mend_torchvision()
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture
def tiny() -> TinyNet:
    torch.manual_seed(0)
    net = TinyNet()
    net.bn.running_mean.normal_()
    net.bn.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
