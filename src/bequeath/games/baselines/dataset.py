"""The mean over a data set as a baseline."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines.family import Baseline
from bequeath.games.baselines.tensors import check_floats
from bequeath.games.from_layer import first_tensor, output_at
from bequeath.games.inputs import device_of
from bequeath.lattice.given import plain_tensor
from bequeath.printable import one_line

# Samples in one forward pass.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class DatasetMean(Baseline):
    """Mean over a data set: mean image, mean row, or mean feature map of a layer. `dataset_mean` makes and checks it.

    Attributes
    ----------
    inputs : Tensor
        Images (samples, channels, height, width) or rows (samples, columns), as the model gets them.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> rows = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    >>> bq.baselines.DatasetMean(rows).for_columns(torch.tensor([9.0, 9.0])).tolist()
    [1.0, 3.0]
    """

    inputs: Tensor
    name = "dataset_mean"
    fits = "images, columns and feature maps"
    # Feature means by model and layer, computed once for many games. The versions show whether weights have changed.
    _means: weakref.WeakKeyDictionary[nn.Module, dict[str, tuple[tuple[int, ...], Tensor]]] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False
    )

    __repr__ = one_line

    def _mean(self, sample: Tensor, what: str) -> Tensor:
        if self.inputs.shape[1:] != sample.shape:
            raise BequeathError(
                f"baseline dataset_mean: its inputs are {tuple(self.inputs.shape[1:])}, this {what} is "
                f"{tuple(sample.shape)}; give inputs as the model gets them"
            )
        check_floats(sample, self.name, what)
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
                    assert output is not None  # a tensor: the players were bound to this layer before
                    total = total + output.double().sum(0).cpu()
            known[layer] = versions, total / len(self.inputs)
        mean = known[layer][1]
        if mean.shape != features.shape[1:]:
            raise BequeathError(
                f"baseline dataset_mean: at layer {layer!r} its inputs give {tuple(mean.shape)}, this sample "
                f"{tuple(features.shape[1:])}; give inputs of the sample's size"
            )
        return mean[None].to(features)


def dataset_mean(inputs: ArrayLike | Tensor | Sequence[Tensor]) -> DatasetMean:
    """Mean over a data set: mean image, mean row, or mean feature map of a layer.

    Parameters
    ----------
    inputs : Tensor, array, or sequence of Tensor
        Images (samples, channels, height, width) or rows (samples, columns), as the model gets them.

    Returns
    -------
    DatasetMean

    Raises
    ------
    BequeathError
        If there are no inputs, or they are neither images nor rows, differ in shape, or hold NaN or infinity.

    Examples
    --------
    >>> import bequeath as bq
    >>> baseline = bq.baselines.dataset_mean([[0.0, 1.0], [2.0, 5.0]])
    >>> baseline.inputs.mean(0).tolist()
    [1.0, 3.0]
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
