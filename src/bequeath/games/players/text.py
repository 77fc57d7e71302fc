"""Players of a text: words, tokens, sentences, spans. Special tokens and the prompt around a text are always shown.

A token of white space alone belongs to the player after it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline, own_padding, padding_token
from bequeath.games.inputs import device_of
from bequeath.games.players.family import Players
from bequeath.games.players.masked import SHOWN
from bequeath.games.players.masked_tokens import MaskedTokens

Span = tuple[int, int]
Unit = Literal["words", "tokens", "sentences"]

_UNITS = {"words": re.compile(r"\S+"), "sentences": re.compile(r"\S.*?(?:[.!?…]+[\"')\]]*(?=\s|$)|$)", re.S)}


@dataclass(frozen=True)
class Text(Players):
    """Parts of a text as players. `words`, `tokens`, `sentences` and `spans` make it.

    Attributes
    ----------
    tokenizer
        A fast tokenizer of `transformers` (it gives the place of each token in the text).
    unit : "words", "tokens" or "sentences"
        What the parts are.
    n_players : int or None
        None: each part is a player. A number n: the players are n runs of neighbouring parts, as equal as possible.
    prompt : str
        What the model reads, with ``{}`` in the place of the text; the prompt around the text is always shown.
    spans : tuple of (int, int) or None
        Given parts as (first character, last character + 1); text outside of them is always shown.

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers`.

    >>> import bequeath as bq
    >>> bq.players.Text(tokenizer, "words", n_players=2).names("a good film")
    ('a', 'good film')
    """

    tokenizer: Any
    unit: Unit = "words"
    n_players: int | None = None
    prompt: str = "{}"
    spans: tuple[Span, ...] | None = None

    def __post_init__(self) -> None:
        if not getattr(self.tokenizer, "is_fast", False):
            raise BequeathError(
                f"players {self.unit}: {type(self.tokenizer).__name__} does not give the places of its tokens in the "
                "text; use a fast tokenizer (AutoTokenizer.from_pretrained(...) gives one)"
            )
        if self.prompt.count("{}") != 1:
            raise BequeathError(
                f"players {self.unit}: prompt {self.prompt!r} needs {{}} once, where the text goes"
            )
        if self.n_players is not None and self.n_players < 1:
            raise BequeathError(
                f"players {self.unit}: n_players = {self.n_players}; give at least 1, or None for all"
            )

    def parts(self, text: str) -> list[Span]:
        """Places of the players in a text, in order, as (first character, last character + 1).

        Raises
        ------
        BequeathError
            If the text has fewer parts than `n_players`.
        """
        if self.spans is not None:
            outside = [span for span in self.spans if not 0 <= span[0] < span[1] <= len(text)]
            if outside:
                raise BequeathError(
                    f"players spans: {outside[0]} in a text of {len(text)} characters: {text!r}; give spans within it"
                )
            return list(self.spans)
        return self._runs(text, self._encoded(self.prompt.replace("{}", text)))

    def _runs(self, text: str, encoded: Any) -> list[Span]:
        """The players: units of the text, or runs of them."""
        if self.unit == "tokens":
            units = self._token_spans(text, encoded)
        else:
            units = self._with_tokens(
                [match.span() for match in _UNITS[self.unit].finditer(text)], text, encoded
            )
        n = len(units) if self.n_players is None else self.n_players
        if not units or len(units) < n:
            raise BequeathError(
                f"players {self.unit}: {len(units)} {self.unit} for {n or 'any'} players in {text!r}; give a longer "
                "text, or fewer players"
            )
        edges = [len(units) * i // n for i in range(n + 1)]
        return [(units[a][0], units[b - 1][1]) for a, b in pairwise(edges)]

    def _with_tokens(self, units: list[Span], text: str, encoded: Any) -> list[Span]:
        """Merge units without tokens, such as a lone zero-width space, with the unit before (at the start: after)."""
        owned = set(self._owners(units, text, encoded))
        joined: list[Span] = []
        begin: int | None = None
        for number, (a, b) in enumerate(units):
            if number in owned:
                joined.append((a if begin is None else begin, b))
                begin = None
            elif joined:
                joined[-1] = (joined[-1][0], b)
            elif begin is None:
                begin = a
        return joined

    def _owners(self, parts: Sequence[Span], text: str, encoded: Any) -> list[int]:
        """The part that each token belongs to, or SHOWN."""
        before = self.prompt.index("{}")
        whole = self.prompt.replace("{}", text)
        placed = [(a + before, b + before) for a, b in parts]
        return [
            SHOWN if special else _part_at(placed, *_place(whole, span, before))
            for span, special in zip(encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
        ]

    @property
    def needs(self) -> str:
        """Enough parts, and no more tokens than the model takes."""
        return f"{self.n_players or 1} {self.unit} or more that the model takes whole"

    def fits(self, x: str) -> bool:
        """Whether a text can be bound: enough parts, a token for each, and no more tokens than the model takes."""
        try:
            self._laid_out(x)
        except BequeathError:
            return False
        return True

    def _laid_out(self, x: str) -> tuple[list[Span], list[int], Any]:
        """Places of the players, owner of each token, and output of the tokenizer."""
        encoded = self._encoded(self.prompt.replace("{}", x))
        parts = self.parts(x) if self.spans is not None else self._runs(x, encoded)
        owner = self._owners(parts, x, encoded)
        missing = sorted(set(range(len(parts))) - set(owner))
        if missing:
            a, b = parts[missing[0]]
            raise BequeathError(
                f"players {self.unit}: the tokenizer gives no token for {x[a:b]!r} (number {missing[0] + 1}) "
                f"of {x!r}; shorten or clean the text"
            )
        return parts, owner, encoded

    def names(self, x: str | None = None) -> tuple[str, ...]:
        """The text of each player; empty without x, as texts share no names."""
        return () if x is None else tuple(" ".join(x[a:b].split()) for a, b in self.parts(x))

    def captions(self, x: str) -> tuple[str, ...]:
        """The text of each player."""
        return self.names(x)

    def _encoded(self, whole: str) -> Any:
        encoded = self.tokenizer(
            whole, truncation=True, return_offsets_mapping=True, return_special_tokens_mask=True
        )
        if encoded.encodings[0].overflowing:
            raise BequeathError(
                f"players {self.unit}: {whole[:40]!r}... has more than the {len(encoded.input_ids)} tokens that the "
                "model takes; shorten the text"
            )
        return encoded

    def _token_spans(self, text: str, encoded: Any) -> list[Span]:
        """Places of the text's tokens in the text, tokenised within the prompt, which can change the tokens."""
        before = self.prompt.index("{}")
        whole = self.prompt.replace("{}", text)
        spans: list[Span] = []
        for span in encoded["offset_mapping"]:
            a, b = (min(max(at - before, 0), len(text)) for at in _trimmed(whole, span))
            if spans and a < spans[-1][1]:  # bytes of one character: hidden together
                spans[-1] = (spans[-1][0], max(b, spans[-1][1]))
            elif a < b:
                spans.append((a, b))
        return spans

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTokens:
        """Bind the parts of the text x; `model` gives the embedding table if the baseline is a vector."""
        if not isinstance(x, str):
            raise BequeathError(f"players {self.unit}: {type(x).__name__} given; give a text")
        _, owner, encoded = self._laid_out(x)
        tokens_only = {
            name: value
            for name, value in encoded.items()
            if name not in ("offset_mapping", "special_tokens_mask")
        }
        device = device_of(model)
        tokens = {name: torch.tensor([value], device=device) for name, value in tokens_only.items()}
        fill = baseline.for_tokens(self.tokenizer, model)
        _check_padding(model)
        embedded = None
        if fill.vector is not None:
            with torch.inference_mode():
                embedded = model.get_input_embeddings()(tokens["input_ids"])  # type: ignore[operator]
        pad = padding_token(self.tokenizer, model)
        return MaskedTokens(
            torch.tensor(owner, device=device),
            self.names(x),
            tokens,
            fill,
            embedded,
            0 if pad is None else pad,
        )

    def __str__(self) -> str:
        if self.spans is not None:
            return f"{len(self.spans)} given spans of text"
        return self.unit if self.n_players is None else f"{self.n_players} runs of {self.unit}"


def _trimmed(text: str, span: Span) -> Span:
    """Place of a token without white space at its ends; some tokenizers include the space before a word."""
    a, b = span
    part = text[a:b]
    return a + len(part) - len(part.lstrip()), b - len(part) + len(part.rstrip())


def _place(whole: str, span: Span, before: int) -> Span:
    """Place of a token; for white space within the text, the place of the next character after it."""
    a, b = _trimmed(whole, span)
    if a < b or span[0] < before:
        return a, b
    after = len(whole) - len(whole[span[1] :].lstrip())
    return after, after + 1


def _check_padding(model: nn.Module) -> None:
    """Refuse the classifier of a decoder that cannot find the ends of the texts in a batch."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    reads_last = "past_key_values" in inspect.signature(base.forward).parameters
    if reads_last and type(base).__name__.endswith("ForSequenceClassification") and own_padding(base) is None:
        raise BequeathError(
            f"model {type(base).__name__}: finds the end of a text by config.pad_token_id, which is not set; set it "
            "(model.config.pad_token_id = tokenizer.pad_token_id or tokenizer.eos_token_id)"
        )


def _part_at(parts: Sequence[Span], a: int, b: int) -> int:
    """The part in which a token starts, or else the first part that it overlaps."""
    for player, (first, end) in enumerate(parts):
        if first <= a < end or a <= first < b:
            return player
    return SHOWN
