"""The tokenizer of a study of texts, and the tokens that stand for its classes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, first_line
from bequeath.models.limits import most_tokens
from bequeath.study.config.data import DataConfig


def load_tokenizer(data: DataConfig, architecture: str, all_architectures: Iterable[str]) -> Any:
    """The tokenizer in `data.tokenizer`, or that of the model before, for texts that all models can take.

    Raises
    ------
    BequeathError
        If there is none, or transformers is not installed.
    """
    source, _, name = architecture.partition(":")
    given = getattr(data, "tokenizer", None)
    if given is None and not source.startswith("transformers"):
        raise BequeathError("data.tokenizer: needed where the model before is not a transformers: folder")
    tokenizer = read_tokenizer("data.tokenizer", name if given is None else given)
    # Saved without its model's limit it has one of 1e30, and it may say more than a model has positions for.
    limits = [limit for one in set(all_architectures) if (limit := most_tokens(one)) is not None]
    tokenizer.model_max_length = min([tokenizer.model_max_length, *limits])
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        # As is customary for causal models: padding is out of attention, so which token it is does not matter.
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    if getattr(data, "answers", None) is not None:
        # Of a text that is too long the beginning goes, not the question at its end.
        tokenizer.truncation_side = "left"
    return tokenizer


def read_tokenizer(place: str, folder: str | Path) -> Any:
    """The tokenizer in a folder, or of a hub name, as it was saved; no code that comes with it is run.

    Raises
    ------
    BequeathError
        Beginning with `place`: if there is none, or transformers is not installed.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise BequeathError('data: texts need transformers: pip install "bequeath[text]"') from None
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BequeathError(f"{place}: cannot load a tokenizer from {folder}: {first_line(error)}") from None


def answer_tokens(data: DataConfig, tokenizer: Any) -> list[int] | None:
    """The token that each of `data.answers` begins with, all different; None where there are no answers.

    Raises
    ------
    BequeathError
        If an answer gives no token, or two the same.
    """
    answers: list[str] | None = getattr(data, "answers", None)
    if answers is None:
        return None
    found: dict[int, str] = {}
    for answer in answers:
        ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
        if not ids:
            raise BequeathError(f"data.answers: {answer!r} gives no token")
        if ids[0] in found:
            raise BequeathError(
                f"data.answers: {found[ids[0]]!r} and {answer!r} begin with the same token "
                f"({tokenizer.convert_ids_to_tokens(ids[0])!r}); give answers that begin differently"
            )
        found[ids[0]] = answer
    return list(found)
