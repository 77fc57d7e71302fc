"""A tokenised text with its players and baseline, from which masked inputs are made."""

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
    """A tokenised text with its players; `owner` has an entry for each token.

    Attributes
    ----------
    tokens : dict of str to Tensor
        Output of the tokenizer, (1, tokens) each.
    fill : Fill
        What hidden tokens become.
    embedded : Tensor or None
        Embeddings of the text, (1, tokens, width), if vectors replace hidden tokens.
    pad : int
        Id of the token that pads shorter texts in a batch.

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers` whose mask token has the id 2.

    >>> import torch
    >>> import bequeath as bq
    >>> text = bq.players.words(tokenizer).bind("a good film", bq.baselines.mask_token(), torch.nn.Linear(2, 2))
    >>> text.inputs(torch.tensor([[True, False, True]]))["input_ids"].tolist()
    [[3, 2, 5]]
    """

    tokens: dict[str, Tensor]
    fill: Fill
    embedded: Tensor | None
    pad: int

    __repr__ = one_line

    def inputs(self, masks: Tensor) -> dict[str, Tensor]:
        """Token ids or embeddings, attention mask and so on, (batch, tokens, ...), for masks, bool (batch, players)."""
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
        is_token = torch.arange(order.shape[1], device=keep.device) < lengths[:, None]
        closed["input_ids"] = closed["input_ids"].where(is_token, self.pad)
        closed["attention_mask"] = _never_empty(is_token.to(inputs["input_ids"].dtype))
        return closed

    def batch_key(self) -> Hashable:
        """Texts of all lengths share batches: shorter ones are padded, which needs an attention mask.

        If vectors replace tokens, only texts of one length do: the classifier of a decoder finds the end of a text by
        its padding token, and embeddings do not show that.
        """
        if "attention_mask" not in self.tokens:
            return id(self)
        length = 0 if self.embedded is None else len(self.owner)
        return "tokens", length, tuple(self.tokens), self.pad, self.owner.device

    def joined(self, parts: Sequence[Inputs]) -> dict[str, Tensor]:
        """Join texts to one batch; shorter ones are padded."""
        return fill_up(parts, self.pad)

    def order(self, masks: Tensor) -> Tensor | None:
        """Number of tokens left, if hidden ones are removed: the longest texts are evaluated, and measured, first."""
        return self.kept(masks).sum(1).cpu() if self.fill.removed else None


def _never_empty(attended: Tensor) -> Tensor:
    """Make the first token attended in rows without any: an empty text is then one padding token.

    Without any attended token, the output of a model would depend on the padding of its batch.
    """
    attended[:, 0] = attended[:, 0].where(attended.any(1), 1)
    return attended


def fill_up(parts: Sequence[Inputs], pad: int) -> dict[str, Tensor]:
    """Join texts of several lengths to one batch: padded on the right; padding is not attended."""
    texts = [part for part in parts if not isinstance(part, Tensor)]
    joined = {}
    for name in texts[0]:
        value = pad if name == "input_ids" else 0
        longest = max(text[name].shape[1] for text in texts)
        filled = []
        for text in texts:
            missing = longest - text[name].shape[1]
            # Tokens are the second axis: (batch, tokens) or (batch, tokens, width).
            padding = (0, missing) if text[name].ndim == 2 else (0, 0, 0, missing)
            filled.append(nn.functional.pad(text[name], padding, value=value) if missing else text[name])
        joined[name] = torch.cat(filled)
    return joined
