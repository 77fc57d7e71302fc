"""Loads a datasets.Dataset: from an object, a folder of `save_to_disk`, or a name."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError, few, first_line
from bequeath.files import literal


def open_rows(dataset: Any, split: str | None, load: dict[str, Any]) -> tuple[Any, str]:
    """Load a data set of the `datasets` library.

    Parameters
    ----------
    dataset : datasets.Dataset, datasets.DatasetDict, str or Path
    split : str or None
        Needed if there are several splits.
    load : dict
        Arguments of `datasets.load_dataset`.

    Returns
    -------
    rows : datasets.Dataset
        Without formatting.
    place : str
        What to call it in errors.

    Raises
    ------
    BequeathError
        If it cannot be found, loaded or indexed, or has several splits and `split` is None.
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
        raise BequeathError(
            f"{place}: split {split!r} is given, but it is a single split; give a DatasetDict or leave split out"
        )
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
            f"{place}: trust_remote_code would run code of the data set; load it yourself and give the "
            "datasets.Dataset"
        )
    if name == "pandas":
        # This builder reads pickles, and older versions of the library run the code in them.
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
                f"{place}: the datasets library reads {given} as a pattern; give its files as data_files, "
                "or rename the folder"
            )
    try:
        if not saved:
            # Older versions can run code: without this argument they ask the user, or read an environment variable.
            return datasets.load_dataset(str(name), split=split, **{**load, "trust_remote_code": False})
        if load:
            raise BequeathError(f"{place}: {few(sorted(load))} is not for saved folders; leave it out")
        loaded = datasets.load_from_disk(str(name))
        # A saved split knows its name; asking for another one is a mistake.
        if isinstance(loaded, datasets.Dataset) and split not in (None, str(loaded.split)):
            raise BequeathError(f"{place}: holds one split, {loaded.split}, not {split!r}; leave split out")
        return loaded
    except BequeathError:
        raise
    # The library raises these for unknown names, no connection, wrong arguments and damaged files.
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, _errors()) as error:
        raise BequeathError(
            f"{place}: cannot be loaded ({first_line(error)}); check the name, the arguments and the connection, or "
            "load it on a machine with a connection, save it with save_to_disk and give that folder"
        ) from error


def _files(given: Any) -> Any:
    """File patterns in which names of existing folders are taken literally; addresses stay as they are."""
    if isinstance(given, dict):
        return {split: _files(files) for split, files in given.items()}
    if isinstance(given, (list, tuple)):
        return [_files(file) for file in given]
    return literal(given) if isinstance(given, (str, Path)) and "://" not in str(given) else given


def _errors() -> type[Exception]:
    from datasets.exceptions import DatasetsError

    error: type[Exception] = DatasetsError
    return error
