"""Functions of the user's own that a study file names: players, baselines, values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

from bequeath.models.named import own_function as find_function


def own_function(name: str) -> Callable[..., Any]:
    """The function of that name."""
    return find_function(repr(name), name, "module:function, of a module that can be imported from here")


NO_CODE = {"code": False}
"""Validation context for studies that are only looked at: a run's folder may have come from anywhere."""


def _importable(name: str, info: ValidationInfo) -> str:
    if info.context is not NO_CODE:
        own_function(name)
    return name


OwnName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(_importable)]
"""``module:function``, which must be there, and is imported at once, unless the context is `NO_CODE`."""


def own_names(*settings: Any) -> list[str]:
    """Those of some settings that name a function of the user's own, or are sections that do."""
    names = [one if isinstance(one, str) else getattr(one, "kind", "") for one in settings]
    return [name for name in names if ":" in name]


def source_of(name: str) -> Path | None:
    """The file that such a function stands in, where it has one."""
    file = inspect.getsourcefile(own_function(name))
    return None if file is None else Path(file)
