"""Baselines: what replaces hidden players.

A baseline has a method for each kind of input that it fits: `for_image` gives the image that hidden pixels are taken
from, `for_columns` the row, `for_features` the feature map, and `for_tokens` says what hidden tokens become.
"""

from bequeath.games.baselines.dataset import DatasetMean, dataset_mean
from bequeath.games.baselines.family import Baseline, Fill, own_padding, padding_token
from bequeath.games.baselines.tensors import (
    Blur,
    Given,
    Mean,
    Zero,
    blur,
    given,
    mean,
    zero,
)
from bequeath.games.baselines.tokens import MaskToken, Pad, Removal, mask_token, pad, removal

__all__ = [
    "Baseline",
    "Blur",
    "DatasetMean",
    "Fill",
    "Given",
    "MaskToken",
    "Mean",
    "Pad",
    "Removal",
    "Zero",
    "blur",
    "dataset_mean",
    "given",
    "mask_token",
    "mean",
    "own_padding",
    "pad",
    "padding_token",
    "removal",
    "zero",
]


def __dir__() -> list[str]:
    return __all__
