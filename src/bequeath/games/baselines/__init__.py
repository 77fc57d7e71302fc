"""What is put in a hidden player's place.

A baseline answers for the kinds of input it fits: `for_image` gives the picture that hidden pixels are taken from,
`for_columns` the row, `for_features` the feature map, and `for_tokens` says what hidden tokens become.
"""

from bequeath.games.baselines.family import Baseline, Fill, own_padding, padding_token
from bequeath.games.baselines.tensors import (
    Blur,
    DatasetMean,
    Given,
    Mean,
    Zero,
    blur,
    dataset_mean,
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
