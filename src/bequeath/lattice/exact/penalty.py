"""The norm that is minimised over splits: the L1 norm, plus the L1 norms of differences for several models together.

For each interaction, f(x) = sum over models |x_m| + coupling * sum over pairs of models |x_a - x_b|. For one model it
is the absolute value. The models are axis `dim`; all other axes are interactions. Source: docs/method.md, section
"Exact readings" (`joint`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft(x: Tensor, threshold: Tensor | float) -> Tensor:
    """Soft threshold: move x towards 0 by at most `threshold`."""
    return x - x.clamp(min=-threshold, max=threshold)  # type: ignore[arg-type]


def _ranks(models: int, like: Tensor, dim: int) -> Tensor:
    """2 i - models - 1 for i = 1 .. models. Times the sorted x, their sum is the sum of |x_a - x_b| over pairs."""
    shape = [1] * like.ndim
    shape[dim] = models
    return torch.arange(1 - models, models, 2, dtype=like.dtype, device=like.device).view(shape)


def norm(x: Tensor, coupling: float, dim: int) -> Tensor:
    """f of each interaction: the shape of x without axis `dim`.

    Parameters
    ----------
    x : Tensor
        Interactions of the models along axis `dim`.
    coupling : float
        Weight of the differences.
    dim : int
        Axis of the models.

    Returns
    -------
    Tensor
    """
    total = x.abs().sum(dim)
    models = x.shape[dim]
    if models > 1 and coupling:
        total = total + coupling * (x.sort(dim).values * _ranks(models, x, dim)).sum(dim)
    return total


def prox(x: Tensor, step: Tensor | float, coupling: float, dim: int) -> Tensor:
    """The proximal map: argmin over p of step * f(p) + |p - x|**2 / 2.

    The differences pull the sorted values together by amounts that depend on their ranks. Values that would cross are
    averaged (isotonic regression, by its min-max formula). A soft threshold of the result is then exact (Friedman et
    al., Ann. Appl. Stat. 1, 2007).

    Parameters
    ----------
    x : Tensor
        Interactions of the models along axis `dim`.
    step : Tensor or float
        Weight of f.
    coupling : float
        Weight of the differences.
    dim : int
        Axis of the models.

    Returns
    -------
    Tensor
        In the shape of `x`.
    """
    models = x.shape[dim]
    if models > 1 and coupling:
        ordered, index = x.sort(dim)
        pulled = (ordered - coupling * step * _ranks(models, x, dim)).unbind(dim)
        fused = []
        for i in range(models):
            highest = []
            for first in range(i + 1):
                means, total = [], torch.zeros_like(pulled[0])
                for last in range(first, models):
                    total = total + pulled[last]
                    if last >= i:
                        means.append(total / (last - first + 1))
                highest.append(torch.stack(means).amin(0))
            fused.append(torch.stack(highest).amax(0))
        x = torch.empty_like(x).scatter_(dim, index, torch.stack(fused, dim))
    return soft(x, step)


def gauge(y: Tensor, coupling: float, dim: int) -> Tensor:
    """The dual norm of f for each interaction: the least c >= 0 with <x, y> <= c f(x) for all x.

    f is a sum over level sets A of models (co-area formula), each with the weight |A| + coupling |A| |not A|. The
    largest <x, y> on a level set of a given size is reached by the largest or the smallest entries of y.

    Parameters
    ----------
    y : Tensor
        Dual vectors of the models along axis `dim`.
    coupling : float
        Weight of the differences.
    dim : int
        Axis of the models.

    Returns
    -------
    Tensor
        In the shape of `y` without axis `dim`.
    """
    models = y.shape[dim]
    if models == 1:
        return y.abs().squeeze(dim)
    ordered = y.sort(dim).values
    size = torch.arange(1, models + 1, dtype=y.dtype, device=y.device)
    shape = [1] * y.ndim
    shape[dim] = models
    count = (size + coupling * size * (models - size)).view(shape)
    lowest, highest = ordered.cumsum(dim), ordered.flip(dim).cumsum(dim)
    return torch.maximum(-lowest / count, highest / count).amax(dim)
