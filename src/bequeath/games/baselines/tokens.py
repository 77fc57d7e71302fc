"""Baselines of texts: what a hidden token becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.baselines.family import Baseline, Fill, padding_token


@dataclass(frozen=True)
class MaskToken(Baseline):
    """Texts: the tokenizer's mask token."""

    name = "mask_token"
    fits = "texts"

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        if tokenizer.mask_token_id is None:
            raise BequeathError(
                "baseline mask_token: this tokenizer has no mask token; use pad, removal, mean or zero"
            )
        return Fill(tokenizer.mask_token_id)


def _pad_id(tokenizer: Any, model: nn.Module, name: str) -> int:
    pad = padding_token(tokenizer, model)
    if pad is None:
        raise BequeathError(
            f"baseline {name}: this tokenizer has no padding token; set one (tokenizer.pad_token = "
            "tokenizer.eos_token, and model.config.pad_token_id for a classifier), or use mean or zero"
        )
    return int(pad)


@dataclass(frozen=True)
class Pad(Baseline):
    """Texts: the padding token, which no other token attends to; all others keep their positions.

    Models that count positions over the tokens that are no padding (RoBERTa and its kin) move the others up.
    """

    name = "pad"
    fits = "texts"

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(_pad_id(tokenizer, model, self.name), attended=False)


@dataclass(frozen=True)
class Removal(Baseline):
    """Texts: hidden tokens are taken out, and the text closes over them; where none is left it is one padding token."""

    name = "removal"
    fits = "texts"

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(_pad_id(tokenizer, model, self.name), removed=True)


mask_token, pad, removal = MaskToken, Pad, Removal
