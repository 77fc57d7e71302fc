"""Reading state files: safetensors, and those of torch.save without running what a pickle may carry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from bequeath.errors import BequeathError

PICKLED = frozenset({".bin", ".ckpt", ".pt", ".pth", ".tar", ".th"})
INDEX = "model.safetensors.index.json"
FOLDER_FILES = ("model.safetensors", INDEX, "pytorch_model.bin")
NESTINGS = ("state_dict", "model", "model_state_dict")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a local state file by name, on the CPU.

    Parameters
    ----------
    path : str or Path
        A .safetensors file; a .pt, .pth, .th, .bin, .ckpt or .tar file of `torch.save`, of which only tensors
        and plain values are read (`weights_only`: no code in the file is run); or a folder of
        `save_pretrained`, in one file or in several with their index.

    Raises
    ------
    BequeathError
        If the file is missing, damaged, of another kind, or holds other objects.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in FOLDER_FILES if (path / name).is_file()]
        if not found:
            raise BequeathError(
                f"weights {path}: no model.safetensors or pytorch_model.bin in this folder; give the file itself"
            )
        path = found[0]
    if path.name.endswith(".safetensors.index.json") and path.is_file():
        return _read_shards(path)
    if not path.is_file():
        raise BequeathError(f"weights {path}: the file does not exist; give a .safetensors or .pt file")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _read_safetensors(path)
    if suffix not in PICKLED:
        raise BequeathError(
            f"weights {path}: {suffix or 'no'} suffix is unknown; give .safetensors, "
            f"{', '.join(sorted(PICKLED))}"
        )
    return _tensors(path, _read_pickled(path))


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
    """Every tensor that the index lists, from the files that it names."""
    try:
        files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(files.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BequeathError(
            f"weights {index}: not an index of safetensors files (no weight_map); save the model again"
        ) from error
    state: dict[str, Tensor] = {}
    for name in names:
        # An index names files of its own folder; a path in it would read from anywhere.
        if Path(name).name != name or not (index.parent / name).is_file():
            raise BequeathError(
                f"weights {index}: {name}, which it names, is not in this folder; copy it there"
            )
        state |= _read_safetensors(index.parent / name)
    missing = [name for name in files if name not in state]
    if missing:
        raise BequeathError(
            f"weights {index}: {missing[0]} is not in {files[missing[0]]} ({len(missing)} of {len(files)} tensors "
            "are missing); copy the files of one model together"
        )
    return state


def _read_pickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise BequeathError(
                f"weights {path}: refused, since it holds {found[1]} and reading that could run code; where "
                f"you trust the file, convert it: state = torch.load({path.name!r}, weights_only=False), "
                "then save_file of its state_dict with safetensors.torch"
            ) from error
        raise BequeathError(
            f"weights {path}: not a file of torch.save; give a .safetensors or .pt file"
        ) from error
    except Exception as error:  # the reader's errors on damaged files are of every kind
        reason = f"{type(error).__name__}: {error}".split("\n")[0].split(". ")[0]
        raise BequeathError(
            f"weights {path}: damaged, or not a file of torch.save ({reason}); save it again"
        ) from error


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict within a checkpoint."""
    for _ in NESTINGS:
        inner = [content[key] for key in NESTINGS if key in content] if isinstance(content, Mapping) else []
        if not (inner and isinstance(inner[0], Mapping)):
            break
        content = inner[0]
    if isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        what = f"a dict of {', '.join(str(name) for name in list(content)[:5]) or 'nothing'}"
    else:
        what = f"a {type(content).__name__}"
    raise BequeathError(
        f"weights {path}: no state dict found in it but {what}; save model.state_dict(), plain or as "
        "'state_dict'"
    )
