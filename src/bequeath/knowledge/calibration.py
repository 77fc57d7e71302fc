"""What models share by chance: the zero of every share (METHOD 5b)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bequeath.knowledge.regions import shared


def mismatched(first: Tensor, second: Tensor, labels: Sequence[int] | None = None) -> Tensor:
    """What one model's interactions on a sample share with another's on the other samples, in the mean over those.

    The mean of all derangements' shares is had from these exactly: under a random derangement each sample is paired
    with each other one equally often.

    Parameters
    ----------
    first, second : Tensor
        Interactions, shape (samples, ...), of one shape.
    labels : sequence of int, optional
        Classes of the samples: pair samples of the same class only.

    Returns
    -------
    Tensor
        Of that shape, in the units of the interactions: mean over the other samples j of min(abs(first[i]),
        abs(second[j])) where the signs agree. NaN for a sample without a partner.
    """
    samples = len(first)
    partner = ~torch.eye(samples, dtype=torch.bool, device=first.device)
    if labels is not None:
        classes = torch.as_tensor(list(labels), device=first.device)
        partner &= classes[:, None] == classes
    found = torch.full_like(first, torch.nan)
    for sample, others in enumerate(partner):
        if bool(others.any()):
            found[sample] = shared(first[sample], second[others]).mean(0)
    return found
