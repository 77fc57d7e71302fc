"""Where samples come from: image folders, arrays, tables of text, and the embedded demo's data."""

from bequeath.data.demo import fashion_mnist
from bequeath.data.images import IMAGENET_MEAN, IMAGENET_STD, ImageArray, ImageFolder
from bequeath.data.samples import Dataset, Sample, Subset, balanced, batch
from bequeath.data.text import TextTable

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Dataset",
    "ImageArray",
    "ImageFolder",
    "Sample",
    "Subset",
    "TextTable",
    "balanced",
    "batch",
    "fashion_mnist",
]
