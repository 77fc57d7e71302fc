"""Baselines of images, rows and feature maps; as vectors in place of embeddings, some fit texts too."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines.family import Baseline, Fill, embedding_table
from bequeath.games.from_layer import first_tensor, output_at
from bequeath.games.inputs import device_of
from bequeath.lattice.given import plain_tensor
from bequeath.printable import one_line

_BATCH = 64


@dataclass(frozen=True)
class Mean(Baseline):
    """Images and feature maps: each channel's mean over the sample. Texts: the mean of the embedding table."""

    name = "mean"
    fits = "images, feature maps and texts"

    def for_image(self, image: Tensor) -> Tensor:
        _check_floats(image, self.name, "image")
        return image.mean((1, 2), keepdim=True).expand_as(image)

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        others = [axis for axis in range(1, features.ndim) if axis != channels]
        mean = features.mean(others, keepdim=True) if others else features.mean()
        return mean.expand_as(features)

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(vector=embedding_table(model).mean(0))


@dataclass(frozen=True)
class Zero(Baseline):
    """0 in the input's units (grey, for a normalised image), in a feature map, or as an embedding."""

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
    """Images: the picture behind a Gaussian blur.

    Attributes
    ----------
    sigma : float
        Standard deviation in pixels; borders are continued by their own values.
    """

    sigma: float = 10.0
    name = "blur"
    fits = "images"

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise BequeathError(f"baseline blur: sigma {self.sigma}; give a width in pixels above 0")

    def for_image(self, image: Tensor) -> Tensor:
        from scipy.ndimage import gaussian_filter

        _check_floats(image, self.name, "image")
        # In double precision: NumPy does not know all of torch's half precisions.
        pixels = image.detach().cpu().double().numpy()
        blurred = gaussian_filter(pixels, (0, self.sigma, self.sigma), mode="nearest")
        return torch.from_numpy(blurred).to(image)

    def __str__(self) -> str:
        return f"blur (sigma {self.sigma:g} pixels)"


@dataclass(frozen=True, eq=False)
class DatasetMean(Baseline):
    """The mean over a data set: of its images, of its rows (column means), or of a layer's feature maps over it.

    Attributes
    ----------
    inputs : Tensor
        (samples, channels, height, width) images or (samples, columns) rows, as the model is given them.
    """

    inputs: Tensor
    name = "dataset_mean"
    fits = "images, columns and feature maps"
    # Feature means by model and layer: found once, not for each of many games. Versions tell of changed weights.
    _means: weakref.WeakKeyDictionary[nn.Module, dict[str, tuple[tuple[int, ...], Tensor]]] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False
    )

    __repr__ = one_line

    def _mean(self, sample: Tensor, what: str) -> Tensor:
        if self.inputs.shape[1:] != sample.shape:
            raise BequeathError(
                f"baseline dataset_mean: its inputs are {tuple(self.inputs.shape[1:])}, this {what} is "
                f"{tuple(sample.shape)}; give inputs as the model is given them"
            )
        _check_floats(sample, self.name, what)
        return self._input_mean.to(sample)

    @cached_property
    def _input_mean(self) -> Tensor:
        return self.inputs.mean(0, dtype=torch.float64)

    def for_image(self, image: Tensor) -> Tensor:
        return self._mean(image, "image")

    def for_columns(self, row: Tensor) -> Tensor:
        return self._mean(row, "row")

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        versions = tuple(parameter._version for parameter in model.parameters())
        known = self._means.setdefault(model, {})
        if layer not in known or known[layer][0] != versions:
            total, device = torch.zeros((), dtype=torch.float64), device_of(model)
            with torch.inference_mode():
                for block in torch.split(self.inputs, _BATCH):
                    output = first_tensor(output_at(model, layer, block.to(device)))
                    assert output is not None  # the players' own pass has seen a tensor
                    total = total + output.double().sum(0).cpu()
            known[layer] = versions, total / len(self.inputs)
        mean = known[layer][1]
        if mean.shape != features.shape[1:]:
            raise BequeathError(
                f"baseline dataset_mean: at layer {layer!r} its inputs give {tuple(mean.shape)}, this sample "
                f"{tuple(features.shape[1:])}; give inputs of the sample's size"
            )
        return mean[None].to(features)


@dataclass(frozen=True, eq=False)
class Given(Baseline):
    """Given values: an image, a row, a feature map, or an embedding, or numbers that broadcast to it."""

    value: Tensor
    name = "given"
    fits = "images, columns, feature maps and texts"

    __repr__ = one_line

    def _as(self, sample: Tensor, what: str) -> Tensor:
        if self.value.is_floating_point():
            _check_floats(sample, self.name, what.split()[-1])
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


def _check_floats(sample: Tensor, name: str, what: str) -> None:
    """Refuse samples that cannot hold the baseline's fractions."""
    if not sample.is_floating_point():
        raise BequeathError(
            f"baseline {name}: this {what} has {sample.dtype} values; give floats, or the baseline zero"
        )


mean, zero, blur = Mean, Zero, Blur


def dataset_mean(inputs: ArrayLike | Tensor | Sequence[Tensor]) -> DatasetMean:
    """The mean over a data set: its mean image, its column means, or a layer's mean feature map over it.

    Parameters
    ----------
    inputs : Tensor, array, or sequence of Tensor
        Images (samples, channels, height, width) or rows (samples, columns), as the model is given them.

    Raises
    ------
    BequeathError
        If there are none, or they are neither images nor rows, differ in shape, or hold NaN or infinity.
    """
    if isinstance(inputs, (list, tuple)):
        parts = [plain_tensor(part, "baseline dataset_mean") for part in inputs]
        shapes = sorted({tuple(part.shape) for part in parts})
        if len(shapes) != 1:
            what = f"inputs of several shapes, {shapes[0]} and {shapes[1]}" if shapes else "no inputs"
            raise BequeathError(f"baseline dataset_mean: {what}; give samples of one shape")
        stacked = torch.stack(parts)
    else:
        stacked = plain_tensor(inputs, "baseline dataset_mean")
    if stacked.ndim not in (2, 4) or not len(stacked):
        raise BequeathError(
            f"baseline dataset_mean: inputs {tuple(stacked.shape)}; give images (samples, channels, height, width) "
            "or rows (samples, columns)"
        )
    if not bool(torch.isfinite(stacked).all()):
        raise BequeathError("baseline dataset_mean: its inputs hold NaN or infinity; give finite values")
    return DatasetMean(stacked)


def given(value: Any) -> Given:
    """Values of your own: an image, row, feature map or embedding, or numbers that broadcast to it."""
    tensor = plain_tensor(value, "baseline given")
    if not bool(torch.isfinite(tensor).all()):
        raise BequeathError("baseline given: holds NaN or infinity; give finite values")
    return Given(tensor)
