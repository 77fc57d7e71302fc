"""Checks that each model gets inputs as in its training: with its own preprocessing and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.models.hub import hub_entry
from bequeath.models.model_preprocessing import PROCESSOR, preprocessing_of
from bequeath.models.preprocessing import Preprocessing
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.loading.tokens import read_tokenizer

# A folder with one of these files holds a tokenizer.
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "tokenizer.model")
_GEOMETRY = ("size", "resize", "resize_to", "interpolation")


def check_preprocessing(inputs: StudyInputs, checkpoint: Checkpoint) -> list[str]:
    """Compare a model's own preprocessing, if it is known, with the study's.

    Settings that the study file gives are the user's choice. Another mean or standard deviation there is a warning.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    BequeathError
        If they differ in a setting that the study file does not give.
    """
    own = _stated(inputs, checkpoint)
    used: Preprocessing | None = getattr(inputs.data, "preprocessing", None)
    if own is None or used is None:
        return []
    given = inputs.config.data.model_dump(exclude_none=True)
    place, found_warnings = f"models.{checkpoint.model}", []
    for keys in (("mean", "std"), _GEOMETRY):
        if all(_alike(getattr(own, key), getattr(used, key)) for key in keys):
            continue
        own_words, used_words = (
            ", ".join(f"{key} {_plain(getattr(how, key))}" for key in keys) for how in (own, used)
        )
        if not set(keys) & given.keys():
            raise BequeathError(
                f"{place}: was trained on pictures with {own_words}, but the study uses {used_words}, those of "
                f"models.{inputs.config.roles.before}; give under data the values that are right for all models "
                f"({', '.join(keys)})"
            )
        if keys[0] == "mean":
            found_warnings.append(
                f"{checkpoint.model} was trained on pictures with {own_words}, but the study file gives {used_words}."
            )
    return found_warnings


def _stated(inputs: StudyInputs, checkpoint: Checkpoint) -> Preprocessing | None:
    """A model's own preprocessing, if a processor's file or published weights state it; else None."""
    if inputs.modality != "image":
        return None
    architecture = inputs.config.models[checkpoint.model].architecture
    source, _, name = architecture.partition(":")
    folders = [Path(given).expanduser() for given in (checkpoint.file, name) if given is not None]
    files = source == "transformers" and any((folder / PROCESSOR).is_file() for folder in folders)
    hub = checkpoint.file is not None and hub_entry(checkpoint.file) is not None
    return preprocessing_of(architecture, checkpoint.file) if files or hub else None


def check_tokenizer(inputs: StudyInputs, checkpoint: Checkpoint, texts: Sequence[str]) -> list[str]:
    """Compare the tokens of a model's own tokenizer with those of the study's, on the texts.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    BequeathError
        If they differ, and the study file names no tokenizer.
    """
    if inputs.tokenizer is None:
        return []
    folder = _tokenizer_folder(inputs, checkpoint)
    if folder is None:
        return []
    own = read_tokenizer(f"models.{checkpoint.model}", folder)
    for text in texts:
        prompted = inputs.prompt.replace("{}", text)
        own_tokens, study_tokens = (
            tokenizer(prompted, truncation=False)["input_ids"] for tokenizer in (own, inputs.tokenizer)
        )
        if own_tokens == study_tokens:
            continue
        difference = f"its own tokenizer ({folder}) makes other tokens of {text[:40]!r} than the study's"
        if getattr(inputs.config.data, "tokenizer", None) is not None:
            return [f"{checkpoint.model}: {difference} (data.tokenizer)."]
        raise BequeathError(
            f"models.{checkpoint.model}: {difference}, that of models.{inputs.config.roles.before}; compare models "
            "with the same tokenizer, or give the one that is right for all as data.tokenizer"
        )
    return []


def _tokenizer_folder(inputs: StudyInputs, checkpoint: Checkpoint) -> Path | None:
    """The folder of a model's weights, or of its architecture, if it holds a tokenizer; else None."""
    source, _, name = inputs.config.models[checkpoint.model].architecture.partition(":")
    places = [checkpoint.file, name if source.startswith("transformers") else None]
    for given in places:
        if given is None or hub_entry(given) is not None:
            continue
        path = Path(given).expanduser()
        folder = path if path.is_dir() else path.parent
        if any((folder / file).is_file() for file in _TOKENIZER):
            return folder
    return None


def _alike(first: Any, second: Any) -> bool:
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(
            abs(a - b) < 1e-3 for a, b in zip(first, second, strict=True)
        )
    return bool(first == second)


def _plain(value: Any) -> str:
    return "/".join(f"{number:.4g}" for number in value) if isinstance(value, tuple) else str(value)
