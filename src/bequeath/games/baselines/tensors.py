"""Baselines of images, rows and feature maps. Some fit texts too: their values replace embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines.family import Baseline, Fill, embedding_table
from bequeath.lattice.given import plain_tensor
from bequeath.printable import one_line

_BATCH = 64


@dataclass(frozen=True)
class Mean(Baseline):
    """Mean of the sample. Images and feature maps: mean of each channel. Texts: mean of the embedding table.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> image = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    >>> bq.baselines.mean().for_image(image).tolist()
    [[[3.0, 3.0], [3.0, 3.0]]]
    """

    name = "mean"
    fits = "images, feature maps and texts"

    def for_image(self, image: Tensor) -> Tensor:
        check_floats(image, self.name, "image")
        return image.mean((1, 2), keepdim=True).expand_as(image)

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        others = [axis for axis in range(1, features.ndim) if axis != channels]
        mean = features.mean(others, keepdim=True) if others else features.mean()
        return mean.expand_as(features)

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(vector=embedding_table(model).mean(0))


@dataclass(frozen=True)
class Zero(Baseline):
    """Zero, in the units of the input: grey in a normalised image. Also for rows, feature maps and embeddings.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.zero().for_columns(torch.tensor([1.5, -2.0])).tolist()
    [0.0, 0.0]
    """

    name = "zero"
    fits = "images, columns, feature maps and texts"

    def for_image(self, image: Tensor) -> Tensor:
        return torch.zeros_like(image)

    def for_columns(self, row: Tensor) -> Tensor:
        return torch.zeros_like(row)

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        return torch.zeros_like(features)

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(vector=torch.zeros_like(embedding_table(model)[0]))


@dataclass(frozen=True)
class Blur(Baseline):
    """The image itself, blurred by a Gaussian filter.

    Parameters
    ----------
    sigma : float
        Standard deviation of the filter in pixels. Pixels beyond the border count as copies of the border.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> image = torch.tensor([[[0.0, 0.0, 9.0, 0.0, 0.0]]])
    >>> [round(pixel, 1) for pixel in bq.baselines.blur(sigma=1.0).for_image(image)[0, 0].tolist()]
    [0.5, 2.2, 3.6, 2.2, 0.5]
    """

    sigma: float = 10.0
    name = "blur"
    fits = "images"

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise BequeathError(f"baseline blur: sigma {self.sigma}; give a width in pixels above 0")

    def for_image(self, image: Tensor) -> Tensor:
        from scipy.ndimage import gaussian_filter

        check_floats(image, self.name, "image")
        # In double precision: NumPy lacks some of torch's half precisions.
        pixels = image.detach().cpu().double().numpy()
        blurred = gaussian_filter(pixels, (0, self.sigma, self.sigma), mode="nearest")
        return torch.from_numpy(blurred).to(image)

    def __str__(self) -> str:
        return f"blur (sigma {self.sigma:g} pixels)"


@dataclass(frozen=True, eq=False)
class Given(Baseline):
    """Values of your own: an image, a row, a feature map, an embedding, or numbers that broadcast to it.

    `given` makes and checks it.

    Attributes
    ----------
    value : Tensor
        In the units of the model's input (or of the feature map, or of the embeddings).

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.Given(torch.tensor(0.5)).for_columns(torch.tensor([1.0, 2.0])).tolist()
    [0.5, 0.5]
    """

    value: Tensor
    name = "given"
    fits = "images, columns, feature maps and texts"

    __repr__ = one_line

    def _as(self, sample: Tensor, what: str) -> Tensor:
        if self.value.is_floating_point():
            check_floats(sample, self.name, what.split()[-1])
        try:
            return self.value.to(sample).expand_as(sample)
        except RuntimeError:
            raise BequeathError(
                f"baseline given: {tuple(self.value.shape)} does not fit {what} {tuple(sample.shape)}; give that "
                "shape, or one that broadcasts to it"
            ) from None

    def for_image(self, image: Tensor) -> Tensor:
        return self._as(image, "an image")

    def for_columns(self, row: Tensor) -> Tensor:
        return self._as(row, "a row")

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        return self._as(features, "a feature map")

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(vector=self._as(embedding_table(model)[0], "an embedding"))


def check_floats(sample: Tensor, name: str, what: str) -> None:
    """Refuse samples of whole numbers: they cannot hold the baseline's fractions."""
    if not sample.is_floating_point():
        raise BequeathError(
            f"baseline {name}: this {what} has {sample.dtype} values; give floats, or the baseline zero"
        )


mean, zero, blur = Mean, Zero, Blur


def given(value: Any) -> Given:
    """Values of your own: an image, a row, a feature map, an embedding, or numbers that broadcast to it.

    Parameters
    ----------
    value : Tensor, array, or number
        In the units of the model's input (or of the feature map, or of the embeddings); finite.

    Returns
    -------
    Given

    Raises
    ------
    BequeathError
        If a value is not finite, or not a number.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.given([0.5, -1.0]).for_columns(torch.tensor([1.0, 2.0])).tolist()
    [0.5, -1.0]
    """
    tensor = plain_tensor(value, "baseline given")
    if not bool(torch.isfinite(tensor).all()):
        raise BequeathError("baseline given: the value holds NaN or infinity; give finite values")
    return Given(tensor)
