"""Sources of samples: image folders, published data sets, arrays, tables, texts, `datasets`, the demo's data."""

from bequeath.data.demo import fashion_mnist
from bequeath.data.huggingface import from_datasets
from bequeath.data.image_folder import ImageFolder
from bequeath.data.images import ImageArray, ImageFiles, Images
from bequeath.data.layouts import ag_news, cifar10, cifar100, cub200, sst2, stanford_cars, tiny_imagenet
from bequeath.data.samples import Dataset, Sample, Subset, balanced, batch, split
from bequeath.data.tables import Table, read_table
from bequeath.data.text import TextList, TextTable
from bequeath.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Dataset",
    "ImageArray",
    "ImageFiles",
    "ImageFolder",
    "Images",
    "Preprocessing",
    "Sample",
    "Subset",
    "Table",
    "TextList",
    "TextTable",
    "ag_news",
    "balanced",
    "batch",
    "cifar10",
    "cifar100",
    "cub200",
    "fashion_mnist",
    "from_datasets",
    "read_table",
    "split",
    "sst2",
    "stanford_cars",
    "tiny_imagenet",
]
