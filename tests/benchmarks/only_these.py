"""Lets nothing but what gpu.sh brings to a bare machine be imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

ALLOWED = {"bequeath", "torch", "numpy", "scipy", "numba", "llvmlite", "psutil"}
OWN = {"gpu", "gpu_models", "measure", "sparse_methods", "tables"}
TORCHS = {
    *("torchgen", "functorch", "typing_extensions", "filelock", "sympy", "mpmath", "networkx", "jinja2"),
    *("markupsafe", "fsspec", "setuptools"),
}


class Only(PathFinder):
    """The usual search, which finds no other package."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = fullname.split(".")[0]
        if top.startswith("_") or top in ALLOWED | OWN | TORCHS | sys.stdlib_module_names:
            return super().find_spec(fullname, path, target)
        return None


sys.meta_path[:] = [Only if finder is PathFinder else finder for finder in sys.meta_path]
