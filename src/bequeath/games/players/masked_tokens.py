"""A tokenised text, ready to be shown in part."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bequeath.games.baselines import Fill
from bequeath.games.inputs import Inputs
from bequeath.games.players.masked import MaskedInput
from bequeath.printable import one_line


@dataclass(frozen=True, eq=False)
class MaskedTokens(MaskedInput):
    """A tokenised text; `owner` has an entry for each token.

    Attributes
    ----------
    tokens : dict of str to Tensor
        What the tokenizer gives, (1, tokens) each.
    fill : Fill
        What hidden tokens become.
    embedded : Tensor or None
        The text's own embeddings, (1, tokens, width), where hidden tokens become vectors.
    pad : int
        Token that fills shorter texts of a batch up.
    """

    tokens: dict[str, Tensor]
    fill: Fill
    embedded: Tensor | None
    pad: int

    __repr__ = one_line

    def inputs(self, masks: Tensor) -> dict[str, Tensor]:
        """(batch, players) -> token ids or embeddings, attention mask and the like, (batch, tokens, ...)."""
        keep = self.kept(masks)
        inputs = {name: value.expand(len(masks), -1) for name, value in self.tokens.items()}
        if self.fill.removed:
            return self._closed_up(inputs, keep)
        ids = inputs.pop("input_ids")
        if self.embedded is not None:
            assert self.fill.vector is not None
            return {"inputs_embeds": torch.where(keep[..., None], self.embedded, self.fill.vector), **inputs}
        assert self.fill.token is not None
        if not self.fill.attended:
            attended = inputs.get("attention_mask", torch.ones_like(ids)) * keep
            inputs["attention_mask"] = _never_empty(attended)
        return {"input_ids": torch.where(keep, ids, self.fill.token), **inputs}

    def _closed_up(self, inputs: dict[str, Tensor], keep: Tensor) -> dict[str, Tensor]:
        lengths = keep.sum(1)
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(int(lengths.max()), 1)]
        closed = {name: value.gather(1, order) for name, value in inputs.items()}
        there = torch.arange(order.shape[1], device=keep.device) < lengths[:, None]
        closed["input_ids"] = closed["input_ids"].where(there, self.pad)
        closed["attention_mask"] = _never_empty(there.to(inputs["input_ids"].dtype))
        return closed

    def kin(self) -> Hashable:
        """Texts of any length: shorter ones are filled up, which needs an attention mask.

        Of one length where tokens become vectors: a decoder's classifier finds the end of a text by its padding token,
        which it does not see then.
        """
        if "attention_mask" not in self.tokens:
            return id(self)
        length = 0 if self.embedded is None else len(self.owner)
        return "tokens", length, tuple(self.tokens), self.pad, self.owner.device

    def joined(self, parts: Sequence[Inputs]) -> dict[str, Tensor]:
        """Texts as one batch, shorter ones filled up."""
        return fill_up(parts, self.pad)

    def order(self, masks: Tensor) -> Tensor | None:
        """By the tokens left, where hidden ones are removed: the costliest come first, and their memory is measured."""
        return self.kept(masks).sum(1).cpu() if self.fill.removed else None


def _never_empty(attended: Tensor) -> Tensor:
    """An attention mask whose rows without any token have their first: one padding token is all of an empty text.

    What a model gives where nothing is attended to would depend on how far its batch is filled up.
    """
    attended[:, 0] = attended[:, 0].where(attended.any(1), 1)
    return attended


def fill_up(parts: Sequence[Inputs], pad: int) -> dict[str, Tensor]:
    """Texts of several lengths as one batch: filled up on the right, out of attention."""
    texts = [part for part in parts if not isinstance(part, Tensor)]
    joined = {}
    for name in texts[0]:
        value = pad if name == "input_ids" else 0
        longest = max(text[name].shape[1] for text in texts)
        filled = []
        for text in texts:
            behind = longest - text[name].shape[1]
            # The axis of tokens is the second: (batch, tokens) or (batch, tokens, width).
            room = (0, behind) if text[name].ndim == 2 else (0, 0, 0, behind)
            filled.append(nn.functional.pad(text[name], room, value=value) if behind else text[name])
        joined[name] = torch.cat(filled)
    return joined
