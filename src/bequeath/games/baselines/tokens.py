"""Baselines of texts: what a hidden token becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.baselines.family import Baseline, Fill, padding_token


@dataclass(frozen=True)
class MaskToken(Baseline):
    """The mask token of the tokenizer, for texts.

    Examples
    --------
    Here `tokenizer` is a tokenizer of `transformers` whose mask token has the id 2.

    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.mask_token().for_tokens(tokenizer, torch.nn.Linear(2, 2)).token
    2
    """

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
    """The padding token, for texts. No other token attends to it, and the other tokens keep their positions.

    Some models, such as RoBERTa, number positions over the tokens that are not padding: there the others move up.

    Examples
    --------
    Here `tokenizer` is a tokenizer of `transformers` whose padding token has the id 0.

    >>> import torch
    >>> import bequeath as bq
    >>> fill = bq.baselines.pad().for_tokens(tokenizer, torch.nn.Linear(2, 2))
    >>> fill.token, fill.attended
    (0, False)
    """

    name = "pad"
    fits = "texts"

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(_pad_id(tokenizer, model, self.name), attended=False)


@dataclass(frozen=True)
class Removal(Baseline):
    """Removal of hidden tokens from the text; a text without any token left becomes one padding token.

    Examples
    --------
    Here `tokenizer` is a tokenizer of `transformers`.

    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.removal().for_tokens(tokenizer, torch.nn.Linear(2, 2)).removed
    True
    """

    name = "removal"
    fits = "texts"

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        return Fill(_pad_id(tokenizer, model, self.name), removed=True)


mask_token, pad, removal = MaskToken, Pad, Removal
