"""Short names for what results depend on."""

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
    """A short name for everything that a kept result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def file_digest(name: str | Path | None) -> str | None:
    """Of a state file or folder; what is asked of the hub is its own digest."""
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
    """Of a model's tensors with their names, and of what kind it is."""
    digest = hashlib.sha256(kind.encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def samples_digest(dataset: Dataset, indices: Sequence[int]) -> str:
    """Of what some samples hold; every picture is read, so that a bad one shows before hours are spent."""
    digest = hashlib.sha256()
    for i in indices:
        source: Any = dataset
        place = i
        while isinstance(source, Subset):
            source, place = source.dataset, source.indices[place]
        if isinstance(source, Images):
            picture = source.open(place)
            digest.update(f"{picture.size}".encode() + picture.tobytes())
            continue
        x = source[place].x
        content = x.numpy().tobytes() if isinstance(x, Tensor) else x.encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
