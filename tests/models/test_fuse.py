"""Folding of batch normalisation."""

from __future__ import annotations

import pytest
import torch
from tiny_models import TinyNet
from torch import Tensor, nn

from bequeath.models import fused_for_inference, mobilenet_v2


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def settle(model: nn.Module) -> nn.Module:
    """Give every normalisation statistics of its own."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def test_attributes_are_folded_and_the_model_is_left_alone(tiny: TinyNet, images: Tensor) -> None:
    tiny.train()
    fused = fused_for_inference(tiny, images)
    assert isinstance(fused, TinyNet)
    assert (norms(fused), norms(tiny)) == (0, 1)
    assert (fused.training, tiny.training) == (False, True)
    with torch.inference_mode():
        torch.testing.assert_close(fused(images), tiny.eval()(images))


def test_mobilenet_is_folded_whole() -> None:
    torch.manual_seed(0)
    model = settle(mobilenet_v2(3)).eval()
    x = torch.randn(2, 3, 32, 32)
    fused = fused_for_inference(model, x)
    assert (norms(fused), norms(model)) == (0, 52)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-3, atol=1e-5)


class Shared(TinyNet):
    """The convolution's output is also used without normalisation."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.fc((self.bn(y) + y).mean((2, 3)))


class Twice(TinyNet):
    """The normalisation also sees another input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(
            (self.bn(self.conv(x)) + self.bn(x[:, :1, 1:-1, 1:-1].expand(-1, 4, -1, -1))).mean((2, 3))
        )


class Branching(TinyNet):
    """Cannot be traced."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else -x)


class Tied(TinyNet):
    """Also reads the convolution's weight, which folding changes: only the check of the outputs can tell."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.conv.weight.sum()


@pytest.mark.parametrize("kind", [Shared, Twice, Branching, Tied])
def test_what_cannot_be_folded_safely_is_copied(kind: type[TinyNet], images: Tensor) -> None:
    torch.manual_seed(0)
    model = settle(kind()).eval()
    copied = fused_for_inference(model, images)
    assert copied is not model
    assert norms(copied) == 1
    with torch.inference_mode():
        assert torch.equal(copied(images), model(images))


def test_statistics_that_are_not_kept_cannot_be_folded(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten())
    assert norms(fused_for_inference(model, images)) == 1


def test_inputs_by_name(tiny: TinyNet, images: Tensor) -> None:
    assert norms(fused_for_inference(tiny, {"x": images})) == 0
