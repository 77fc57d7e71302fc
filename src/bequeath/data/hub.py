"""Find and load a datasets.Dataset: an object, a folder of `save_to_disk`, or a name."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, few, first_line
from bequeath.files import literal


def open_rows(dataset: Any, split: str | None, load: dict[str, Any]) -> tuple[Any, str]:
    """A datasets.Dataset without formatting, and what to call it in errors.

    Parameters
    ----------
    dataset : datasets.Dataset, datasets.DatasetDict, str or Path
    split : str or None
    load : dict
        Arguments of `datasets.load_dataset`.

    Raises
    ------
    BequeathError
        If it cannot be found, loaded or indexed, or leaves open which split.
    """
    try:
        import datasets
    except ImportError as error:
        raise BequeathError(
            'from_datasets: needs the datasets library; pip install "bequeath[datasets]"'
        ) from error
    named = isinstance(dataset, (str, Path))
    place = f"data set {dataset}" if named else "data set in memory"
    if named:
        loaded = _load(dataset, split, load, place)
    elif load:
        raise BequeathError(f"{place}: {few(sorted(load))} is for names and folders; leave it out")
    else:
        loaded = dataset
    if isinstance(loaded, datasets.DatasetDict):
        if split is None and len(loaded) != 1:
            raise BequeathError(f"{place}: has the splits {few(list(loaded))}; give split")
        chosen = next(iter(loaded)) if split is None else split
        if chosen not in loaded:
            raise BequeathError(f"{place}: no split {chosen!r}; there are {few(list(loaded))}")
        loaded, place = loaded[chosen], f"{place}, split {chosen}"
    elif split is not None and not named:
        raise BequeathError(f"{place}: split {split!r} of one split; give a DatasetDict or leave split out")
    elif split is not None:
        place = f"{place}, split {split}"
    if not isinstance(loaded, datasets.Dataset):
        raise BequeathError(
            f"{place}: a {type(loaded).__name__} cannot be indexed; give a datasets.Dataset (without streaming)"
        )
    if not len(loaded):
        raise BequeathError(f"{place}: has no rows; give one with samples")
    return loaded.with_format(None), place


def _load(name: str | Path, split: str | None, load: dict[str, Any], place: str) -> Any:
    import datasets

    if load.get("trust_remote_code"):
        raise BequeathError(
            f"{place}: trust_remote_code would run its code; load it yourself and give the datasets.Dataset"
        )
    if name == "pandas":
        # Its files are pickles, which older versions of the library run.
        raise BequeathError(
            f'{place}: reads pickles, which may run code; save as CSV or Parquet and give "csv"'
        )
    if "data_files" in load:
        load = {**load, "data_files": _files(load["data_files"])}
    folder = Path(name)
    saved = [file for file in ("dataset_dict.json", "state.json") if (folder / file).is_file()]
    for given in (str(name) if folder.is_dir() and not saved else "", str(load.get("data_dir") or "")):
        if glob.has_magic(given) and Path(given).is_dir():
            raise BequeathError(
                f"{place}: the datasets library takes {given} for a pattern; give its files as data_files, "
                "or rename the folder"
            )
    try:
        if not saved:
            # Versions that could run code ask, or obey an environment variable, unless they are told.
            return datasets.load_dataset(str(name), split=split, **{**load, "trust_remote_code": False})
        if load:
            raise BequeathError(f"{place}: {few(sorted(load))} is not for saved folders; leave it out")
        loaded = datasets.load_from_disk(str(name))
        # One saved split carries its name; another name is a mistake.
        if isinstance(loaded, datasets.Dataset) and split not in (None, str(loaded.split)):
            raise BequeathError(f"{place}: holds one split, {loaded.split}, not {split!r}; leave split out")
        return loaded
    except BequeathError:
        raise
    # What the library raises for unknown names, no connection, wrong arguments and damaged files.
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, _errors()) as error:
        raise BequeathError(
            f"{place}: cannot be loaded ({first_line(error)}); check the name, the arguments and the connection, or "
            "load it where there is one, save it with save_to_disk and give that folder"
        ) from error


def _files(given: Any) -> Any:
    """Files as patterns in which folders that are there stand for themselves; addresses stay as they are."""
    if isinstance(given, dict):
        return {split: _files(files) for split, files in given.items()}
    if isinstance(given, (list, tuple)):
        return [_files(file) for file in given]
    return literal(given) if isinstance(given, (str, Path)) and "://" not in str(given) else given


def _errors() -> type[Exception]:
    from datasets.exceptions import DatasetsError

    found: type[Exception] = DatasetsError
    return found
