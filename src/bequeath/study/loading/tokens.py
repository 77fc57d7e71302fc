"""The tokenizer of a study of texts, and the tokens of its classes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, first_line
from bequeath.models.limits import most_tokens
from bequeath.study.config.data import DataConfig


def load_tokenizer(data: DataConfig, architecture: str, all_architectures: Iterable[str]) -> Any:
    """Load the study's tokenizer, limited to the length of texts that all models accept.

    Parameters
    ----------
    data : DataConfig
        May name a tokenizer (`data.tokenizer`).
    architecture : str
        Of the model before, whose tokenizer is the default.
    all_architectures : iterable of str
        Of all models.

    Raises
    ------
    BequeathError
        If there is no tokenizer, or transformers is not installed.
    """
    source, _, name = architecture.partition(":")
    given = getattr(data, "tokenizer", None)
    if given is None and not source.startswith("transformers"):
        raise BequeathError(
            "data.tokenizer: missing; give its folder, since the model before is no transformers: architecture"
        )
    tokenizer = read_tokenizer("data.tokenizer", name if given is None else given)
    # A tokenizer may have no limit (it is then 1e30), or a larger one than a model has positions.
    limits = [limit for other in set(all_architectures) if (limit := most_tokens(other)) is not None]
    tokenizer.model_max_length = min([tokenizer.model_max_length, *limits])
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        # As usual for causal models. Padding gets no attention, so any token can serve.
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if getattr(data, "answers", None) is not None:
        # A text that is too long loses its beginning, not the question at its end.
        tokenizer.truncation_side = "left"
    return tokenizer


def read_tokenizer(place: str, folder: str | Path) -> Any:
    """Load the tokenizer in a folder, or of a hub name, without running code that comes with it.

    Raises
    ------
    BequeathError
        If there is none, or transformers is not installed. The first error begins with `place`.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise BequeathError('data: texts need transformers: pip install "bequeath[text]"') from None
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BequeathError(
            f"{place}: cannot load a tokenizer from {folder} ({first_line(error)}); give a folder that holds one"
        ) from None


def answer_tokens(data: DataConfig, tokenizer: Any) -> list[int] | None:
    """The first token of each of `data.answers`; None if the study has no answers.

    Raises
    ------
    BequeathError
        If an answer gives no token, or two answers begin with the same token.
    """
    answers: list[str] | None = getattr(data, "answers", None)
    if answers is None:
        return None
    answer_of: dict[int, str] = {}
    for answer in answers:
        ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if not ids:
            raise BequeathError(f"data.answers: {answer!r} gives no token; give a word")
        if ids[0] in answer_of:
            raise BequeathError(
                f"data.answers: {answer_of[ids[0]]!r} and {answer!r} begin with the same token "
                f"({tokenizer.convert_ids_to_tokens(ids[0])!r}); give answers that begin differently"
            )
        answer_of[ids[0]] = answer
    return list(answer_of)
