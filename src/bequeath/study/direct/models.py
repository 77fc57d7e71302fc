"""A model's section of a study file, from one argument of the command line."""

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
    """A model as the user gave it.

    Attributes
    ----------
    place : str
        The argument, for errors, such as ``BEFORE``.
    names : tuple of str
        Possible names, the shortest first.
    section : dict
        Its section of a study file. That of an adapter has no architecture and no base yet.
    """

    place: str
    names: tuple[str, ...]
    section: dict[str, Any]

    @property
    def adapter(self) -> bool:
        """Whether it is a PEFT adapter on another model."""
        return "architecture" not in self.section


def model_source(place: str, text: str, architecture: str | None) -> Source:
    """Interpret one argument of the command line as a model.

    Parameters
    ----------
    place : str
        The argument's name, for errors.
    text : str
        The argument.
    architecture : str, optional
        Of state files that are given without one.

    Raises
    ------
    BequeathError
        If it names no model, or is a state file without an architecture.
    """
    kind, equals, given = text.partition("=")
    path = Path(text).expanduser()
    if path.is_dir():
        return Source(place, _names_of(path), _folder(place, path, architecture))
    if path.is_file():
        if architecture is None:
            raise BequeathError(
                f"{place}: {text} is a state file, which does not say its architecture; add --arch, such as --arch "
                f"torchvision:resnet18, or give torchvision:resnet18={text}"
            )
        return Source(place, _names_of(path), {"architecture": architecture, "weights": str(path.absolute())})
    if equals and ":" in kind:
        if hub_entry(given) is not None:
            return Source(place, (kind.partition(":")[2],), {"architecture": kind, "weights": given})
        if not given or not Path(given).expanduser().exists():
            raise BequeathError(f"{place}: {text}: no such file: {given!r}; give {FORMS}")
        file = Path(given).expanduser().absolute()
        return Source(place, _names_of(file), {"architecture": kind, "weights": str(file)})
    if kind.partition(":")[0] in SOURCES and ":" in kind:
        return Source(place, (text.partition(":")[2],), {"architecture": text, "weights": _published(text)})
    if ":" in text:
        # A user's own function, which loads its weights itself.
        return Source(place, (text.partition(":")[2],), {"architecture": text})
    if path.suffix.lower() in _SUFFIXES or text.startswith((".", "/", "~")) or not _HUB_NAME.fullmatch(text):
        raise BequeathError(f"{place}: no such file or folder: {text}; give {FORMS}")
    return Source(place, (text,), {"architecture": f"transformers:{text}", "weights": "hub"})


def _published(architecture: str) -> str:
    """The weights of an architecture without any given: a transformers folder itself, else published ones."""
    source, _, name = architecture.partition(":")
    folder = Path(name).expanduser()
    return str(folder.absolute()) if source.startswith("transformers") and folder.is_dir() else "hub"


def _names_of(path: Path) -> tuple[str, ...]:
    absolute = path.absolute()
    return (absolute.stem if path.is_file() else absolute.name, f"{absolute.parent.name} {absolute.stem}")


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
            f"{place}: {path}: no config.json in it (of save_pretrained), and no series.json (of bequeath train); "
            f"give {FORMS}"
        )
    return {"architecture": f"transformers:{folder}", "weights": str(folder)}


def unique_names(sources: Sequence[Source], roles: Sequence[str]) -> list[str]:
    """A name for each model: that of its file, with its folder if another file has the same name, or else its role."""
    short, long = ([_allowed(source.names[position]) for source in sources] for position in (0, -1))
    names = [longer if short.count(name) > 1 else name for name, longer in zip(short, long, strict=True)]
    return names if all(names) and len(set(names)) == len(names) else list(roles)


def _allowed(name: str) -> str:
    """A name with only the characters that a study file allows."""
    return re.sub(r"[^\w.-]+", " ", name).strip(" _.-")


def on_base(source: Source, base: Source) -> Source:
    """An adapter with the model before as its base.

    Raises
    ------
    BequeathError
        If that model is an adapter itself, or has no weights.
    """
    if base.adapter or base.section.get("weights") is None:
        raise BequeathError(
            f"{source.place}: {source.section['weights']} is a PEFT adapter, but BEFORE, its base, has no weights that "
            "can be read; write a study file (bequeath init) and give its base there"
        )
    section = {**base.section, "base": base.section["weights"], "weights": source.section["weights"]}
    return Source(source.place, source.names, section)
