"""Functions of the user's own that a study file names: players, baselines, values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bequeath.models.named import own_function as find_function


def own_function(name: str) -> Callable[..., Any]:
    """The function of that name."""
    return find_function(repr(name), name, "module:function, of a module that can be imported from here")


def _importable(name: str) -> str:
    own_function(name)
    return name


OwnName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(_importable)]
"""``module:function``, which must be there."""


def own_names(*settings: Any) -> list[str]:
    """Those of some settings that name a function of the user's own, or are sections that do."""
    names = [one if isinstance(one, str) else getattr(one, "kind", "") for one in settings]
    return [name for name in names if ":" in name]


def source_of(name: str) -> Path | None:
    """The file that such a function stands in, where it has one."""
    file = inspect.getsourcefile(own_function(name))
    return None if file is None else Path(file)
