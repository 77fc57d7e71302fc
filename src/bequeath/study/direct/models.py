"""A model in one word of the command line: what a study file would say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.models.architectures import SOURCES
from bequeath.models.hub import hub_entry
from bequeath.models.series import check_entry, checkpoint_series, series_entry
from bequeath.models.state_files import PICKLED, is_adapter

FORMS = (
    "a state file (with --arch), a folder that save_pretrained or bequeath train wrote, ARCHITECTURE=FILE, "
    "torchvision:NAME, timm:NAME, a transformers hub name, or module:function"
)
_SUFFIXES = PICKLED | {".safetensors"}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Source:
    """A model as it was named.

    Attributes
    ----------
    place : str
        The argument, for errors: ``BEFORE``.
    names : tuple of str
        What it could be called, the shortest first.
    section : dict
        Its section of a study file; an adapter's has no architecture and no base yet.
    """

    place: str
    names: tuple[str, ...]
    section: dict[str, Any]

    @property
    def adapter(self) -> bool:
        """Whether it is a PEFT adapter on another model."""
        return "architecture" not in self.section


def model_source(place: str, text: str, architecture: str | None) -> Source:
    """What a word of the command line means.

    Parameters
    ----------
    place : str
        The argument, for errors.
    text : str
    architecture : str, optional
        Of state files that are given alone.

    Raises
    ------
    BequeathError
        If it names no model, or a state file whose architecture nobody says.
    """
    kind, equals, given = text.partition("=")
    path = Path(text).expanduser()
    if path.is_dir():
        return Source(place, _called(path), _folder(place, path, architecture))
    if path.is_file():
        if architecture is None:
            raise BequeathError(
                f"{place}: {text} is a state file, and does not say of which architecture; add --arch, such as --arch "
                f"torchvision:resnet18, or give torchvision:resnet18={text}"
            )
        return Source(place, _called(path), {"architecture": architecture, "weights": str(path.absolute())})
    if equals and ":" in kind:
        if hub_entry(given) is not None:
            return Source(place, (kind.partition(":")[2],), {"architecture": kind, "weights": given})
        if not given or not Path(given).expanduser().exists():
            raise BequeathError(f"{place}: {text}: no such file: {given!r}; give {FORMS}")
        file = Path(given).expanduser().absolute()
        return Source(place, _called(file), {"architecture": kind, "weights": str(file)})
    if kind.partition(":")[0] in SOURCES and ":" in kind:
        return Source(place, (text.partition(":")[2],), {"architecture": text, "weights": _published(text)})
    if ":" in text:
        # The user's own function, which brings its weights.
        return Source(place, (text.partition(":")[2],), {"architecture": text})
    if path.suffix.lower() in _SUFFIXES or text.startswith((".", "/", "~")) or not _HUB_NAME.fullmatch(text):
        raise BequeathError(f"{place}: no such file or folder: {text}; give {FORMS}")
    return Source(place, (text,), {"architecture": f"transformers:{text}", "weights": "hub"})


def _published(architecture: str) -> str:
    """A transformers folder holds its weights; else they are what the library publishes."""
    source, _, name = architecture.partition(":")
    folder = Path(name).expanduser()
    return str(folder.absolute()) if source.startswith("transformers") and folder.is_dir() else "hub"


def _called(path: Path) -> tuple[str, ...]:
    whole = path.absolute()
    return (whole.stem if path.is_file() else whole.name, f"{whole.parent.name} {whole.stem}")


def _folder(place: str, path: Path, architecture: str | None) -> dict[str, Any]:
    folder = path.absolute()
    entry = series_entry(folder)
    if entry is not None:
        if architecture is None:
            check_entry(folder, entry)
        last = checkpoint_series(folder, place)[-1][2]
        known = {key: value for key, value in entry.items() if value}
        return {**known, **({"architecture": architecture} if architecture else {}), "weights": str(last)}
    if is_adapter(folder):
        return {"weights": str(folder)}
    if not (folder / "config.json").is_file():
        raise BequeathError(
            f"{place}: {path}: no config.json in it, as save_pretrained writes, and no series.json of bequeath train; "
            f"give {FORMS}"
        )
    return {"architecture": f"transformers:{folder}", "weights": str(folder)}


def named(sources: Sequence[Source], roles: Sequence[str]) -> list[str]:
    """A name for each model: as its file is called, with its folder where others are called so, or else its role."""
    first, second = ([_clean(source.names[place]) for source in sources] for place in (0, -1))
    names = [longer if first.count(short) > 1 else short for short, longer in zip(first, second, strict=True)]
    return names if all(names) and len(set(names)) == len(names) else list(roles)


def _clean(name: str) -> str:
    """A name as a study file takes it."""
    return re.sub(r"[^\w.-]+", " ", name).strip(" _.-")


def on_base(source: Source, base: Source) -> Source:
    """An adapter on the model that it is compared with.

    Raises
    ------
    BequeathError
        If that is no whole model with weights.
    """
    if base.adapter or base.section.get("weights") is None:
        raise BequeathError(
            f"{source.place}: {source.section['weights']} is a PEFT adapter, and BEFORE, which it is put onto, has no "
            "weights to take; write a study file (bequeath init) and give its base there"
        )
    section = {**base.section, "base": base.section["weights"], "weights": source.section["weights"]}
    return Source(source.place, source.names, section)
