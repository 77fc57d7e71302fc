"""Digests of everything that results depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bequeath.data.images import Images
from bequeath.data.samples import Dataset, Subset
from bequeath.models.hub import hub_entry


def key_of(*parts: Any) -> str:
    """A short digest of some values, for the name of a kept result that depends on them."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def file_digest(name: str | Path | None) -> str | None:
    """The digest of a state file or folder; None and hub entries stay as they are."""
    if name is None or (isinstance(name, str) and hub_entry(name) is not None):
        return str(name) if name is not None else None
    path = Path(name)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.name))
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def state_digest(kind: str, state: Mapping[str, Tensor]) -> str:
    """The digest of a model's class name and its tensors with their names."""
    digest = hashlib.sha256(kind.encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def samples_digest(dataset: Dataset, indices: Sequence[int]) -> str:
    """The digest of some samples' content. It reads all pictures, so that a bad one is found before long work."""
    digest = hashlib.sha256()
    for i in indices:
        source: Any = dataset
        index = i
        while isinstance(source, Subset):
            source, index = source.dataset, source.indices[index]
        if isinstance(source, Images):
            picture = source.open(index)
            digest.update(f"{picture.size}".encode() + picture.tobytes())
            continue
        x = source[index].x
        content = x.numpy().tobytes() if isinstance(x, Tensor) else x.encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
