"""Players of a text: words, tokens, sentences, spans. Special tokens and the prompt around a text always stay.

White space that is a token of its own goes with what comes behind it.
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
    """Parts of a text.

    Attributes
    ----------
    tokenizer
        A fast tokenizer of `transformers` (it tells where in the text each token lies).
    unit : "words", "tokens" or "sentences"
        What the parts are.
    n_players : int or None
        None: every part is a player. A number: the parts are dealt into n runs of neighbours, as equal as can be.
    prompt : str
        What the model reads, with ``{}`` where the text is put in: a prompt around it is always shown.
    spans : tuple of (int, int) or None
        Given parts: first character and the one behind the last; text outside of them is always shown.
    """

    tokenizer: Any
    unit: Unit = "words"
    n_players: int | None = None
    prompt: str = "{}"
    spans: tuple[Span, ...] | None = None

    def __post_init__(self) -> None:
        if not getattr(self.tokenizer, "is_fast", False):
            raise BequeathError(
                f"players {self.unit}: {type(self.tokenizer).__name__} does not tell where its tokens lie in the "
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
        """Where the players lie in a text: first character and the one behind the last, in order.

        Raises
        ------
        BequeathError
            If the text has fewer parts than players are asked for.
        """
        if self.spans is not None:
            outside = [span for span in self.spans if not 0 <= span[0] < span[1] <= len(text)]
            if outside:
                raise BequeathError(
                    f"players spans: {outside[0]} in a text of {len(text)} characters: {text!r}"
                )
            return list(self.spans)
        return self._dealt(text, self._encoded(self.prompt.replace("{}", text)))

    def _dealt(self, text: str, encoded: Any) -> list[Span]:
        if self.unit == "tokens":
            found = self._token_spans(text, encoded)
        else:
            found = self._with_tokens(
                [match.span() for match in _UNITS[self.unit].finditer(text)], text, encoded
            )
        n = len(found) if self.n_players is None else self.n_players
        if not found or len(found) < n:
            raise BequeathError(
                f"players {self.unit}: {len(found)} {self.unit} for {n or 'any'} players in {text!r}"
            )
        edges = [len(found) * i // n for i in range(n + 1)]
        return [(found[a][0], found[b - 1][1]) for a, b in pairwise(edges)]

    def _with_tokens(self, found: list[Span], text: str, encoded: Any) -> list[Span]:
        """Parts that have tokens of their own; one without, such as a lone zero-width space, goes with the one before
        it, or behind it at the start."""
        owned = set(self._owners(found, text, encoded))
        joined: list[Span] = []
        begin: int | None = None
        for place, (a, b) in enumerate(found):
            if place in owned:
                joined.append((a if begin is None else begin, b))
                begin = None
            elif joined:
                joined[-1] = (joined[-1][0], b)
            elif begin is None:
                begin = a
        return joined

    def _owners(self, parts: Sequence[Span], text: str, encoded: Any) -> list[int]:
        """The part of each token, or SHOWN."""
        before = self.prompt.index("{}")
        whole = self.prompt.replace("{}", text)
        placed = [(a + before, b + before) for a, b in parts]
        return [
            SHOWN if alone else _part_at(placed, *_place(whole, span, before))
            for span, alone in zip(encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
        ]

    @property
    def needs(self) -> str:
        """Parts enough, and no more tokens than the tokenizer's model takes."""
        return f"{self.n_players or 1} {self.unit} or more that the model takes whole"

    def fits(self, x: str) -> bool:
        """Whether a text can be bound: parts enough, a token for each, and no more tokens than the model takes."""
        try:
            self._laid_out(x)
        except BequeathError:
            return False
        return True

    def _laid_out(self, x: str) -> tuple[list[Span], list[int], Any]:
        """Where the players lie, the owner of each token, and what the tokenizer gives."""
        encoded = self._encoded(self.prompt.replace("{}", x))
        parts = self.parts(x) if self.spans is not None else self._dealt(x, encoded)
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
        """The text of each player; texts share none."""
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
                "tokenizer's model takes; shorten the text"
            )
        return encoded

    def _token_spans(self, text: str, encoded: Any) -> list[Span]:
        """Where the text's tokens lie in it, as they are within the prompt: that can change them."""
        before = self.prompt.index("{}")
        whole = self.prompt.replace("{}", text)
        found: list[Span] = []
        for span in encoded["offset_mapping"]:
            a, b = (min(max(at - before, 0), len(text)) for at in _trimmed(whole, span))
            if found and a < found[-1][1]:  # bytes of one character: hidden together
                found[-1] = (found[-1][0], max(b, found[-1][1]))
            elif a < b:
                found.append((a, b))
        return found

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTokens:
        """Parts of the text x; `model` gives the embedding table where the baseline is a vector."""
        if not isinstance(x, str):
            raise BequeathError(f"players {self.unit}: a text is needed, not {type(x).__name__}")
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
    """A token's place without white space at its ends: some tokenizers count the space before a word to it."""
    a, b = span
    part = text[a:b]
    return a + len(part) - len(part.lstrip()), b - len(part) + len(part.rstrip())


def _place(whole: str, span: Span, before: int) -> Span:
    """A token's place; that of the next character for one of white space only, if it lies within the text."""
    a, b = _trimmed(whole, span)
    if a < b or span[0] < before:
        return a, b
    after = len(whole) - len(whole[span[1] :].lstrip())
    return after, after + 1


def _check_padding(model: nn.Module) -> None:
    """Refuse a decoder's classifier that cannot tell where the texts of a batch end."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    reads_last = "past_key_values" in inspect.signature(base.forward).parameters
    if reads_last and type(base).__name__.endswith("ForSequenceClassification") and own_padding(base) is None:
        raise BequeathError(
            f"model {type(base).__name__}: finds the end of a text by config.pad_token_id, which is not set; set it "
            "(model.config.pad_token_id = tokenizer.pad_token_id, or that of tokenizer.eos_token)"
        )


def _part_at(parts: Sequence[Span], a: int, b: int) -> int:
    """The part in which a token begins, or else the first that it reaches into."""
    for player, (first, behind) in enumerate(parts):
        if first <= a < behind or a <= first < b:
            return player
    return SHOWN


def words(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the words of a text (split at white space), or n runs of neighbouring words.

    Parameters
    ----------
    tokenizer
        A fast tokenizer of `transformers`. Its special tokens always stay.
    n_players : int, optional
        Number of runs; by default each word is a player.
    prompt : str
        What the model reads, with ``{}`` where the text goes; the prompt around it always stays.
    """
    return Text(tokenizer, "words", n_players, prompt)


def tokens(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the tokens of a text, or n runs of neighbouring tokens; arguments as for `words`.

    Tokens that hold bytes of one character are one player.
    """
    return Text(tokenizer, "tokens", n_players, prompt)


def sentences(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the sentences of a text, which end with . ! or ?, or n runs of them; arguments as for `words`."""
    return Text(tokenizer, "sentences", n_players, prompt)


def spans(tokenizer: Any, spans: Sequence[Span], prompt: str = "{}") -> Text:
    """Players are given spans of one text, as (first character, the one behind the last); the rest always stays.

    Raises
    ------
    BequeathError
        If spans are empty or overlap.
    """
    given = tuple((int(a), int(b)) for a, b in spans)
    ordered = sorted(given)
    overlap = [f"{p} and {q}" for p, q in pairwise(ordered) if q[0] < p[1]]
    if not given or overlap:
        raise BequeathError(f"players spans: {overlap[0] + ' overlap' if overlap else 'none given'}")
    return Text(tokenizer, "words", None, prompt, given)
