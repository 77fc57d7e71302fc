"""Data sets in the layouts in which they are published."""

from bequeath.data.layouts.cars import stanford_cars
from bequeath.data.layouts.cifar import cifar10, cifar100
from bequeath.data.layouts.cub import cub200
from bequeath.data.layouts.texts import ag_news, sst2
from bequeath.data.layouts.tiny_imagenet import tiny_imagenet

__all__ = ["ag_news", "cifar10", "cifar100", "cub200", "sst2", "stanford_cars", "tiny_imagenet"]
