"""Short names for what results depend on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

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
