"""Users' own functions that a study file names as ``module:function``: players, baselines, values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

from bequeath.models.named import own_function as find_function


def own_function(name: str) -> Callable[..., Any]:
    """Import the function that ``module:function`` names."""
    return find_function(repr(name), name, "module:function, of a module that can be imported from here")


NO_CODE = {"code": False}
"""Validation context that imports no functions: for studies that are only read, since a run may come from anywhere."""


def _importable(name: str, info: ValidationInfo) -> str:
    if info.context is not NO_CODE:
        own_function(name)
    return name


OwnName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(_importable)]
"""``module:function``. It must exist, and is imported at once, unless the context is `NO_CODE`."""


def own_names(*settings: Any) -> list[str]:
    """The ``module:function`` names among some settings, or among the kinds of settings that are sections."""
    names = [setting if isinstance(setting, str) else getattr(setting, "kind", "") for setting in settings]
    return [name for name in names if ":" in name]


def source_of(name: str) -> Path | None:
    """The source file of a function that ``module:function`` names; None if it has none."""
    file = inspect.getsourcefile(own_function(name))
    return None if file is None else Path(file)
