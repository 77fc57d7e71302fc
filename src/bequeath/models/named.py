"""Import of libraries and of users' functions by name, with one-line errors where something is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from bequeath.errors import BequeathError


def own_function(place: str, named: str, forms: str, sources: Iterable[str] = ()) -> Callable[..., Any]:
    """The function that ``module:function`` names; the current folder is searched first.

    Parameters
    ----------
    place : str
        Begins the errors.
    named : str
        As the user wrote it.
    forms : str
        Which forms are allowed, for the errors.
    sources : iterable of str
        Other words that may stand before the colon; an error suggests one that is similar.

    Returns
    -------
    callable

    Raises
    ------
    BequeathError
        If there is no such module or function, or importing it fails.
    """
    source, _, name = named.partition(":")
    with _current_folder():
        try:
            module = import_module(source)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{source}.".startswith(f"{error.name}."):
                raise BequeathError(f"{place}: importing {source} needs {error.name}; install it") from error
            known = get_close_matches(source, list(sources), 1)
            raise BequeathError(
                f"{place}: no module {source!r} in {os.getcwd()} or installed; {suggest(known)}give {forms}"
            ) from error
        except Exception as error:  # a user's module may fail in any way
            raise BequeathError(f"{place}: importing {source} failed: {reason(error)}") from error
    function: Any = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if callable(value)]
        check_known(place, name, functions, what=f"function in {source}")
    return function  # type: ignore[no-any-return]


def call_own(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's function, which may import from the current folder."""
    with _current_folder():
        return function(*args, **kwargs)


def library(place: str, name: str, extra: str) -> ModuleType:
    """Import a library that may not be installed; `extra` is the extra of `bequeath` that installs it."""
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise BequeathError(f'{place}: needs {error.name}; pip install "bequeath[{extra}]"') from error
    except Exception as error:  # such as a torchvision that was built for another torch
        raise BequeathError(
            f"{place}: {package} is installed but cannot be imported ({reason(error)}); install builds of "
            "torch and torchvision that belong together"
        ) from error


def check_known(place: str, name: str, known: Iterable[str], what: str = "model") -> None:
    """Refuse a name that is not among the known ones, and suggest similar names."""
    names = sorted(known)
    if name in names:
        return
    close = (
        get_close_matches(name, names, 5, 0.5) or [key for key in names if name.lower() in key.lower()][:5]
    )
    there = suggest(close) or f"there are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
    raise BequeathError(f"{place}: no {what} {name!r}; {there.removesuffix(' ')}")


def suggest(close: list[str]) -> str:
    """A question that suggests similar names, for errors; empty if there are none."""
    return f"did you mean {' or '.join(close)}? " if close else ""


@contextmanager
def named_failure(place: str) -> Iterator[None]:
    """Turn any error of a library or a user's builder into one line that begins with `place`."""
    try:
        yield
    except BequeathError:
        raise
    except Exception as error:
        raise BequeathError(f"{place}: building it failed: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, ImportError) and error.__cause__ is not None:
        return reason(error.__cause__)  # transformers' own message does not say why an import failed
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def _current_folder() -> Iterator[None]:
    """Make the current folder importable, as `python -m` does and an installed command does not."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
