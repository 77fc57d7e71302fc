"""Words, tokens, sentences or given spans of a text as players."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from bequeath.errors import BequeathError
from bequeath.games.players.text import Span, Text


def words(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the words of a text (split at white space), or n runs of neighbouring words.

    Parameters
    ----------
    tokenizer
        A fast tokenizer of `transformers`. Its special tokens are always shown.
    n_players : int, optional
        Number of runs; by default each word is a player.
    prompt : str
        What the model reads, with ``{}`` in the place of the text; the prompt around the text is always shown.

    Returns
    -------
    Text

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers`.

    >>> import bequeath as bq
    >>> bq.players.words(tokenizer).names("a good film")
    ('a', 'good', 'film')
    """
    return Text(tokenizer, "words", n_players, prompt)


def tokens(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the tokens of a text, or n runs of neighbouring tokens.

    Tokens that hold the bytes of one character are one player.

    Parameters
    ----------
    tokenizer, n_players, prompt
        As for `words`.

    Returns
    -------
    Text

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers`.

    >>> import bequeath as bq
    >>> bq.players.tokens(tokenizer, n_players=2).names("a good film")
    ('a', 'good film')
    """
    return Text(tokenizer, "tokens", n_players, prompt)


def sentences(tokenizer: Any, n_players: int | None = None, prompt: str = "{}") -> Text:
    """Players are the sentences of a text, which end with ``.``, ``!``, ``?`` or ``…``, or n runs of sentences.

    Parameters
    ----------
    tokenizer, n_players, prompt
        As for `words`.

    Returns
    -------
    Text

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers`.

    >>> import bequeath as bq
    >>> bq.players.sentences(tokenizer).names("A film. A good film!")
    ('A film.', 'A good film!')
    """
    return Text(tokenizer, "sentences", n_players, prompt)


def spans(tokenizer: Any, spans: Sequence[Span], prompt: str = "{}") -> Text:
    """Players are given spans of one text; the text outside of them is always shown.

    Parameters
    ----------
    tokenizer, prompt
        As for `words`.
    spans : sequence of (int, int)
        (First character, last character + 1) of each player.

    Returns
    -------
    Text

    Raises
    ------
    BequeathError
        If there are no spans, or they overlap.

    Examples
    --------
    Here `tokenizer` is a fast tokenizer of `transformers`.

    >>> import bequeath as bq
    >>> bq.players.spans(tokenizer, [(0, 1), (2, 11)]).names("a good film")
    ('a', 'good film')
    """
    given = tuple((int(a), int(b)) for a, b in spans)
    ordered = sorted(given)
    overlap = [f"{p} and {q}" for p, q in pairwise(ordered) if q[0] < p[1]]
    if not given or overlap:
        given_instead = f"{overlap[0]} overlap" if overlap else "none given"
        raise BequeathError(f"players spans: {given_instead}; give at least one span, and none that overlap")
    return Text(tokenizer, "words", None, prompt, given)
