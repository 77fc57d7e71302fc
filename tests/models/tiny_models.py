"""A small classifier for the tests of this folder; also an example of ``module:function``."""

from __future__ import annotations

from torch import Tensor, nn


class TinyNet(nn.Module):
    """Convolution, normalisation, and a head called `fc`."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))
