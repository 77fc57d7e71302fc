"""Whether each model is given inputs as it was trained on them: its own preprocessing, its own tokenizer."""

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

# By these a folder is known to carry a tokenizer.
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "tokenizer.model")
_GEOMETRY = ("size", "resize", "resize_to", "interpolation")


def check_preprocessing(inputs: StudyInputs, checkpoint: Checkpoint) -> list[str]:
    """Compare a model's own preprocessing, where it is stated, with the study's.

    What the study file says itself is the user's choice: other means and deviations are then a warning.

    Raises
    ------
    BequeathError
        If they differ in what the study file does not say.
    """
    own = _stated(inputs, checkpoint)
    used: Preprocessing | None = getattr(inputs.data, "preprocessing", None)
    if own is None or used is None:
        return []
    given = inputs.config.data.model_dump(exclude_none=True)
    place, found = f"models.{checkpoint.model}", []
    for keys in (("mean", "std"), _GEOMETRY):
        if all(_alike(getattr(own, key), getattr(used, key)) for key in keys):
            continue
        own_words, used_words = (
            ", ".join(f"{key} {_plain(getattr(how, key))}" for key in keys) for how in (own, used)
        )
        if not set(keys) & given.keys():
            raise BequeathError(
                f"{place}: was trained on pictures of {own_words}; the study gives it {used_words}, as "
                f"models.{inputs.config.roles.before} wants them; say under data which are right for all "
                f"({', '.join(keys)})"
            )
        if keys[0] == "mean":
            found.append(
                f"{checkpoint.model} was trained on pictures of {own_words}; the study file says {used_words}."
            )
    return found


def _stated(inputs: StudyInputs, checkpoint: Checkpoint) -> Preprocessing | None:
    """A model's own preprocessing where something says it: a processor's file, or published weights."""
    if inputs.modality != "image":
        return None
    architecture = inputs.config.models[checkpoint.model].architecture
    source, _, name = architecture.partition(":")
    folders = [Path(given).expanduser() for given in (checkpoint.file, name) if given is not None]
    files = source == "transformers" and any((folder / PROCESSOR).is_file() for folder in folders)
    hub = checkpoint.file is not None and hub_entry(checkpoint.file) is not None
    return preprocessing_of(architecture, checkpoint.file) if files or hub else None


def check_tokenizer(inputs: StudyInputs, checkpoint: Checkpoint, texts: Sequence[str]) -> list[str]:
    """Compare what a model's own tokenizer makes of the texts with what the study's does.

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
        whole = inputs.prompt.replace("{}", text)
        first, second = (one(whole, truncation=False)["input_ids"] for one in (own, inputs.tokenizer))
        if first == second:
            continue
        what = f"its own tokenizer ({folder}) makes other tokens of {text[:40]!r} than the study's"
        if getattr(inputs.config.data, "tokenizer", None) is not None:
            return [f"{checkpoint.model}: {what} (data.tokenizer)."]
        raise BequeathError(
            f"models.{checkpoint.model}: {what}, that of models.{inputs.config.roles.before}; compare models that "
            "read texts alike, or say by data.tokenizer which is right for all"
        )
    return []


def _tokenizer_folder(inputs: StudyInputs, checkpoint: Checkpoint) -> Path | None:
    """The folder beside a model's weights, or of its architecture, where a tokenizer lies in it."""
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
    return "/".join(f"{one:.4g}" for one in value) if isinstance(value, tuple) else str(value)
