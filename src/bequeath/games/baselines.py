"""What is put in a hidden player's place.

A baseline answers for the kinds of input it fits: `for_image` gives the picture that hidden pixels are taken
from, `for_tokens` the token id, or the embedding vector, that hidden tokens become.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bequeath.errors import BequeathError


class Baseline:
    """The family's contract; a baseline overrides what it fits."""

    name = "baseline"

    def for_image(self, image: Tensor) -> Tensor:
        """The picture behind `image`, both (channels, height, width), in the model's input units."""
        raise BequeathError(f"baseline {self.name}: does not fit image players; use mean or zero")

    def for_tokens(self, embedding: Tensor, mask_id: int | None) -> Tensor | int:
        """A token id, or a vector of shape (width,), from the embedding table (vocabulary, width)."""
        raise BequeathError(f"baseline {self.name}: does not fit word players; use mask_token, mean or zero")


@dataclass(frozen=True)
class Mean(Baseline):
    """Images: each channel's mean over the picture. Words: the mean of the embedding table."""

    name = "mean"

    def for_image(self, image: Tensor) -> Tensor:
        return image.mean((1, 2), keepdim=True).expand_as(image)

    def for_tokens(self, embedding: Tensor, mask_id: int | None) -> Tensor:
        return embedding.mean(0)


@dataclass(frozen=True)
class Zero(Baseline):
    """Images: 0 in the model's input units (grey, for a normalised input). Words: the zero embedding."""

    name = "zero"

    def for_image(self, image: Tensor) -> Tensor:
        return torch.zeros_like(image)

    def for_tokens(self, embedding: Tensor, mask_id: int | None) -> Tensor:
        return torch.zeros_like(embedding[0])


@dataclass(frozen=True)
class MaskToken(Baseline):
    """Words: the tokenizer's mask token."""

    name = "mask_token"

    def for_tokens(self, embedding: Tensor, mask_id: int | None) -> int:
        if mask_id is None:
            raise BequeathError("baseline mask_token: this tokenizer has no mask token; use mean or zero")
        return mask_id


def mean() -> Mean:
    """Per-channel mean of the picture, or mean embedding."""
    return Mean()


def zero() -> Zero:
    """Zeros, in the model's input units or as an embedding."""
    return Zero()


def mask_token() -> MaskToken:
    """The tokenizer's mask token."""
    return MaskToken()
