"""Reads state files: safetensors, and files of torch.save without running the code that a pickle may hold."""

from __future__ import annotations

import argparse
import json
import re
import warnings
import zipfile
from pathlib import Path, PosixPath
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.models.state_sets import Choice, choose

PICKLED = frozenset({".bin", ".ckpt", ".pt", ".pth", ".tar", ".th"})
INDEX = ".index.json"
FOLDER_FILES = (
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
)
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_SCALAR: Any = np.float64(0).__reduce__()[0]
_ARRAY: Any = np.empty(0).__reduce__()[0]
# Plain containers and numbers that training loops save beside the weights: timm its arguments, others a best score.
# Building them calls no other code.
_PLAIN: list[Any] = [
    argparse.Namespace,
    PosixPath,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"},
    *(
        (constructor, f"numpy.{core}.multiarray.{constructor.__name__}")
        for constructor in (_SCALAR, _ARRAY)
        for core in ("core", "_core")
    ),
]


def read_state(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a local state file.

    Parameters
    ----------
    path : str or Path
        A .safetensors file; a .pt, .pth, .th, .bin, .ckpt or .tar file of `torch.save`, of which only tensors
        and plain values are read (`weights_only`: no code in the file is run); or a folder of
        `save_pretrained`, in one file or in several with their index.
    key : str, optional
        Which set of weights in the file: its key (``state_dict_ema``), or nested keys and prefixes of names joined
        by dots (``state_dict.student``). By default, the set that the library which wrote the file would load; if
        there are others, a warning names them.

    Returns
    -------
    dict of str to Tensor
        By name, on the CPU.

    Raises
    ------
    BequeathError
        If the file is missing, damaged, of another kind or holds other objects; or if it holds several sets of
        weights and no rule says which to take.

    Examples
    --------
    >>> read_state("last.pth.tar", key="state_dict_ema")
    """
    chosen = _choice(Path(path), key)
    if chosen.why:
        # A study takes this from the run's identity for its findings.
        warnings.warn(f"weights {path}: {chosen.description}", stacklevel=2)
    return chosen.state


def chosen_set(path: str | Path, key: str | None = None) -> Choice | None:
    """The set of weights that `read_state` takes; None if the file holds only one and `key` is not given."""
    if key is None and state_file(Path(path)).suffix.lower() not in PICKLED:
        return None  # other formats hold one set
    chosen = _choice(Path(path), key, mapped=True)
    return chosen if chosen.others or key is not None else None


def state_file(path: Path) -> Path:
    """The file that holds the weights or their index: `path` itself, or a file in that folder.

    Raises
    ------
    BequeathError
        If there is none.
    """
    if not path.is_dir():
        if not path.is_file():
            raise BequeathError(f"weights {path}: the file does not exist; give a .safetensors or .pt file")
        return path
    files = [path / name for name in FOLDER_FILES if (path / name).is_file()]
    if is_adapter(path):
        if files:
            raise BequeathError(
                f"weights {path}: holds both a model ({files[0].name}) and an adapter; give the model's file, or the "
                "adapter's base (base: in a study file)"
            )
        raise BequeathError(
            f"weights {path}: is a PEFT adapter, not a whole model; give also the base that it was trained on (base: "
            "in a study file, load_adapter in Python)"
        )
    if not files:
        raise BequeathError(
            f"weights {path}: no model.safetensors or pytorch_model.bin in this folder; give the file itself"
        )
    return files[0]


def is_adapter(path: str | Path) -> bool:
    """Whether a folder holds a PEFT adapter."""
    path = Path(path)
    return (path / ADAPTER_CONFIG).is_file() and any((path / name).is_file() for name in ADAPTER_FILES)


def _choice(path: Path, key: str | None, *, mapped: bool = False) -> Choice:
    file = state_file(path)
    place, suffix = f"weights {file}", file.suffix.lower()
    if file.name.endswith(INDEX):
        return choose(place, _read_shards(file), key)
    if suffix == ".safetensors":
        return choose(place, _read_safetensors(file), key)
    if suffix not in PICKLED:
        raise BequeathError(
            f"{place}: {suffix or 'no'} suffix is unknown; give .safetensors, {', '.join(sorted(PICKLED))}"
        )
    return choose(place, read_pickled(file, mapped=mapped), key)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise BequeathError(
            f"weights {path}: damaged or no safetensors file ({error}); save it again"
        ) from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    """All tensors that an index lists, from the files that it names."""
    try:
        files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(files.values()))
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"{names[0]!r} is no name of a file")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BequeathError(
            f"weights {index}: not an index of state files (no weight_map); save the model again"
        ) from error
    state: dict[str, Tensor] = {}
    for name in names:
        # An index may name files of its own folder only; with a path it could read any file.
        if Path(name).name != name or not (index.parent / name).is_file():
            raise BequeathError(
                f"weights {index}: it names {name}, which is not in this folder; copy it there"
            )
        shard = index.parent / name
        state |= _read_safetensors(shard) if shard.suffix == ".safetensors" else read_pickled(shard)
    missing = [name for name in files if name not in state]
    if missing:
        raise BequeathError(
            f"weights {index}: {missing[0]} is not in {files[missing[0]]} ({len(missing)} of {len(files)} tensors "
            "are missing); copy the files of one model together"
        )
    return state


def read_pickled(path: Path, *, mapped: bool = False) -> Any:
    """Read a file of `torch.save` that holds tensors and plain values only. No code in the file is run.

    Parameters
    ----------
    path : Path
    mapped : bool
        Whether tensors may stay on the disk until they are used.

    Returns
    -------
    object
        What was saved.

    Raises
    ------
    BequeathError
        If it is another kind of file, damaged, or holds other objects.
    """
    _check_archive(path)
    try:
        with torch.serialization.safe_globals(_PLAIN):
            if mapped:
                try:
                    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                except RuntimeError:  # torch's old format, which is no zip file, cannot be mapped
                    pass
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise BequeathError(
                f"weights {path}: refused, since it holds {refused[1]} and reading that could run code; if "
                f"you trust the file, convert it: state = torch.load({path.name!r}, weights_only=False), "
                "then save_file of its state_dict with safetensors.torch"
            ) from error
        raise BequeathError(
            f"weights {path}: not a file of torch.save; give a .safetensors or .pt file"
        ) from error
    except Exception as error:  # damaged files make the reader raise errors of many types
        reason = f"{type(error).__name__}: {error}".split("\n")[0].split(". ")[0]
        raise BequeathError(
            f"weights {path}: damaged, or not a file of torch.save ({reason}); save it again"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse zip files that are not of `torch.save`, such as TorchScript programs."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # torch's own reader reports the damage
        return
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise BequeathError(
            f"weights {path}: a TorchScript program, not a state dict; if you trust the file, convert it: "
            f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pt')"
        )
    if names and not any(name.endswith("data.pkl") for name in names):
        raise BequeathError(
            f"weights {path}: a zip file that torch.save did not write (it holds {', '.join(names[:3])}); save "
            "model.state_dict() with torch.save"
        )
