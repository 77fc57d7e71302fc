"""Networks of the small suite whose libraries are not available everywhere; study files name them module:function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Block(nn.Module):
    """Two 3 x 3 convolutions. If the shape changes, the shortcut is strided and padded with zeros (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.pad:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return functional.relu(h + x)


class _CifarResNet(nn.Module):
    """6 n + 2 layers for 32 x 32 pictures (He et al. 2016); names as in the published CIFAR-10 state files."""

    def __init__(self, n: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *[_Block(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(n)]
            )
            for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(h))).mean((2, 3)))


def resnet20(num_classes: int) -> nn.Module:
    """ResNet-20 for 32 x 32 pictures."""
    return _CifarResNet(3, num_classes)


def resnet56(num_classes: int) -> nn.Module:
    """ResNet-56 for 32 x 32 pictures."""
    return _CifarResNet(9, num_classes)


def vgg8(num_classes: int) -> nn.Module:
    """A VGG of six convolutions and two linear layers for 32 x 32 pictures, with batch normalisation."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    hidden = [
        nn.Linear(128 * 4 * 4, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
    ]  # without it, they may die
    head = [nn.Flatten(), *hidden, nn.Linear(128, num_classes)]
    return nn.Sequential(*layers, *head)


class _ViT(nn.Module):
    def __init__(self, num_classes: int, size: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + (size // patch) ** 2, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.token.expand(len(x), -1, -1), tokens), 1) + self.positions
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def vit_tiny32(num_classes: int) -> nn.Module:
    """A vision transformer for 32 x 32 pictures: patches of 8 x 8, width 128, 4 blocks."""
    return _ViT(num_classes, size=32, patch=8, width=128, depth=4, heads=4)


def efficientnet_lite0(num_classes: int) -> nn.Module:
    """EfficientNet-lite0 of the package efficientnet_lite_pytorch (pip install --no-deps efficientnet_lite_pytorch)."""
    from efficientnet_lite_pytorch import EfficientNet

    net: Any = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    return net
