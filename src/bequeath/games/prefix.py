"""Runs the prompt before the first player through a causal language model once."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.games.inputs import Inputs, logits, same_logits
from bequeath.games.players.masked import SHOWN, MaskedInput
from bequeath.games.players.masked_tokens import MaskedTokens

# Shorter prompts save less time than the reuse costs.
_LEAST = 4


@dataclass(frozen=True, eq=False)
class Prompted(MaskedInput):
    """A text after a fixed prompt; keys and values of the prompt are computed once, for all layers.

    Attributes
    ----------
    text : MaskedTokens
        Prompt and text.
    length : int
        Number of tokens of the prompt.
    past : Any
        The model's cache after the prompt, for a batch of one.
    """

    text: MaskedTokens
    length: int
    past: Any

    def inputs(self, masks: Tensor) -> dict[str, Tensor]:
        """Inputs after the prompt, and the attention mask of prompt and text."""
        whole = self.text.inputs(masks)
        return {
            name: value if name == "attention_mask" else value[:, self.length :]
            for name, value in whole.items()
        }

    def network(self, model: nn.Module) -> Callable[[Inputs], Tensor]:
        """The model, continued after the prompt."""
        return _Continued(model, self.past)

    def batch_key(self) -> Hashable:
        return id(self)

    def joined(self, parts: Sequence[Inputs]) -> Inputs:
        return self.text.joined(parts)

    def order(self, masks: Tensor) -> Tensor | None:
        return self.text.order(masks)


class _Continued:
    def __init__(self, model: nn.Module, past: Any) -> None:
        self.model, self.past = model, past

    def __call__(self, inputs: Inputs) -> Tensor:
        assert not isinstance(inputs, Tensor)
        batch = len(inputs["attention_mask"])
        # A copy: the model appends to its cache.
        past = copy.deepcopy(self.past)
        past.batch_repeat_interleave(batch)
        return logits(self.model, {**inputs, "past_key_values": past})


def with_prefix(model: nn.Module, masked: MaskedInput) -> MaskedInput:
    """The text with its prompt computed once, if it has a prompt and the model is causal; else unchanged.

    Call it under `torch.inference_mode`.
    """
    if not isinstance(masked, MaskedTokens) or "attention_mask" not in masked.tokens:
        return masked
    parameters = inspect.signature(model.forward).parameters
    if not {"past_key_values", "use_cache", "logits_to_keep"} <= parameters.keys():
        return masked
    fixed = (masked.owner == SHOWN).long().cumprod(0)
    # The last token of the prompt is run each time, so that a text without any shown player still has a token.
    length = int(fixed.sum()) - 1
    if length < _LEAST or set(masked.tokens) - {"input_ids", "attention_mask"}:
        return masked
    n = len(masked.names)
    trial = torch.rand(2, n, generator=torch.Generator().manual_seed(0)) < 0.5
    try:
        whole = masked.inputs(torch.ones(1, n, dtype=torch.bool))
        prompt = {name: value[:, :length] for name, value in whole.items()}
        past = model(**prompt, use_cache=True).past_key_values
        prompted = Prompted(masked.owner, masked.names, masked, length, past)
        expected = logits(model, masked.inputs(trial))
        given = prompted.network(model)(prompted.inputs(trial))
    except Exception:  # another kind of cache: run the whole text each time
        return masked
    return prompted if same_logits(given, expected) else masked
