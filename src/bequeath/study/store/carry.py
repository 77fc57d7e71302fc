"""A study that changed: what still holds is taken over into new arrays, what does not is named first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bequeath.files import replacing
from bequeath.study.store.layout import Axes
from bequeath.study.store.retested import retested
from bequeath.study.store.store import DONE, Stage, Store

STORE = "tables.zarr"
# Bounds depend on all samples, through each model's scale: they are found anew.
_WORDS: dict[Stage, str] = {"table": "value tables", "accuracy": "accuracies", "interactions": "interactions"}


@dataclass(frozen=True)
class Change:
    """What differs between a study and the arrays of its folder, and what that means for them."""

    topics: tuple[str, ...]
    kept: dict[Stage, int]
    lost: dict[Stage, int]

    def __str__(self) -> str:
        def counts(of: dict[Stage, int]) -> str:
            return ", ".join(f"{count} {_WORDS[stage]}" for stage, count in of.items() if count) or "nothing"

        return (
            f"the study changed ({'; '.join(self.topics)}); still valid: {counts(self.kept)}; "
            f"not valid any more: {counts(self.lost)}"
        )


def topics(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """What differs between two identities, in words."""
    found = [name for name in new["game"] if new["game"][name] != old["game"].get(name)]
    for part in ("checkpoints", "samples"):
        before, now = old[part], new[part]
        counts = {
            "new": len(now.keys() - before.keys()),
            "gone": len(before.keys() - now.keys()),
            "other": sum(before[key] != now[key] for key in before.keys() & now.keys()),
        }
        told = [f"{count} {word}" for word, count in counts.items() if count]
        if told:
            found.append(f"{part}: {', '.join(told)}")
        elif list(before) != list(now):
            found.append(f"order of {part}")
    retests = [one["retest"]["samples"] for one in (old, new) if "retest" in one]
    if len(retests) == 2 and retests[0] != retests[1]:
        found.append(f"retest samples: {len(retests[1])} instead of {len(retests[0])}")
    if old["accuracy"] != new["accuracy"]:
        found.append("accuracy samples")
    found += [part for part in ("decomposition", "dtype") if old[part] != new[part]]
    if old["masks"] and new["masks"] and old["masks"] != new["masks"]:
        found.append(f"masks: {new['masks'][0]} instead of {old['masks'][0]}")
    return tuple(found)


class Carrier:
    """Which of a store's chunks hold for another identity, and where they go.

    Parameters
    ----------
    store : Store
        The folder's arrays as they are.
    axes, identity
        Of the study as it is now.
    """

    def __init__(self, store: Store, axes: Axes, identity: dict[str, Any]) -> None:
        self._store, self._axes, self._identity = store, axes, identity
        old = store.identity
        # All 2**n masks in order are other tables than sampled ones.
        same_games = (
            old["game"] == identity["game"]
            and old["dtype"] == identity["dtype"]
            and store.sparse == (axes.sampling is not None)
        )
        self._valid = {
            "table": same_games,
            "interactions": same_games
            and old["decomposition"] == identity["decomposition"]
            and old["masks"] == identity["masks"]
            # Their number is found on all of them together.
            and (identity["masks"] or [0])[0] != "auto",
            # Other pictures under the same names are other accuracies.
            "accuracy": old["accuracy"] == identity["accuracy"]
            and all(
                identity["samples"].get(name, digest) == digest for name, digest in old["samples"].items()
            ),
        }
        self._checkpoints = _places(list(axes.checkpoints), old["checkpoints"], identity["checkpoints"])
        self._samples = _places(list(axes.samples), old["samples"], identity["samples"])
        self._retested = retested(identity)

    def change(self) -> Change | None:
        """None where nothing has changed."""
        differ = topics(self._store.identity, self._identity)
        if not differ:
            return None
        kept: dict[Stage, int] = dict.fromkeys(_WORDS, 0)
        done: dict[Stage, int] = dict.fromkeys(_WORDS, 0)
        for stage in _WORDS:
            for checkpoint in range(self._store.shape[0]):
                done[stage] += int((self._store.state(stage, checkpoint) == DONE).sum())
                kept[stage] += len(self._still(stage, checkpoint))
        lost = {stage: max(0, done[stage] - kept[stage]) for stage in _WORDS}
        if not lost["table"] and self._store.identity["decomposition"] == self._identity["decomposition"]:
            lost["interactions"] = 0  # read again, of more or fewer masks that are evaluated
        return Change(differ, kept, lost)

    def kept(self, stage: Stage) -> dict[int, int]:
        """How many samples of each new checkpoint hold."""
        return {now: len(self._still(stage, old)) for old, now in self._checkpoints.items()}

    def values_kept(self) -> dict[int, list[int]]:
        """How many values of each table that holds there are, by new checkpoint."""
        size = self._axes.size
        return {
            now: [
                min(len(self._store.evaluated(old, source)), size) if self._store.sparse else size
                for source, _ in self._still("table", old)
            ]
            for old, now in self._checkpoints.items()
        }

    def _still(self, stage: Stage, checkpoint: int) -> list[tuple[int, int]]:
        """(old, new) place of a checkpoint's samples whose data hold; for accuracies (0, 0) stands for all."""
        if not self._valid[stage] or checkpoint not in self._checkpoints:
            return []
        done = self._store.state(stage, checkpoint) == DONE
        if stage == "accuracy":
            return [(0, 0)] if done.all() else []
        if stage == "table" and self._store.sparse:
            # Values on fewer masks than are wanted hold, too.
            done = np.array(
                [self._store.file("table", checkpoint, place).exists() for place in range(len(done))]
            )
        asked = self._retested.get(self._checkpoints[checkpoint])
        return [
            (place, now)
            for place in np.flatnonzero(done).tolist()
            if (now := self._samples.get(place)) is not None and (asked is None or asked[now])
        ]

    def into(self, path: Path) -> Store:
        """Make the new arrays, with all that still holds in them."""
        new = Store.create(path, self._axes, self._identity, self._identity["dtype"])
        for stage in _WORDS:
            for old, now in self._checkpoints.items():
                still = self._still(stage, old)
                if stage == "table" and new.sparse:
                    self._copy_masks(new, old, now, still)
                    continue
                for source, target in still:
                    ours, theirs = ((now,), (old,)) if stage == "accuracy" else ((now, target), (old, source))
                    new.adopt(self._store, stage, ours, theirs)
                if still and stage == "interactions":
                    values = self._store.read("certificate", old)[[source for source, _ in still]]
                    new.write_certificates(now, [target for _, target in still], values)
                if still:
                    new.mark(stage, now, [target for _, target in still], DONE)
        return new

    def _copy_masks(self, new: Store, old: int, now: int, still: list[tuple[int, int]]) -> None:
        """A checkpoint's sampled tables, for any number of masks: the first of them are the same."""
        done = []
        for source, target in still:
            values = self._store.evaluated(old, source)[: self._axes.size]
            new.write_tables(now, [target], values[None])
            done += [target] if len(values) >= new.wanted else []
        if done:
            new.mark("table", now, done, DONE)


def _places(names: list[str], old: dict[str, Any], new: dict[str, Any]) -> dict[int, int]:
    """Old place -> new place of what is the same in both."""
    now = {name: place for place, name in enumerate(names)}
    return {place: now[name] for place, name in enumerate(old) if name in now and old[name] == new[name]}


def replace_store(folder: Path, make: Callable[[Path], object]) -> Store:
    """Put new arrays, made by `make(path)`, into the place of the folder's; cut off, the old ones are back."""
    place, fresh, old = folder / STORE, folder / f"{STORE}.new", folder / f"{STORE}.old"
    make(fresh)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return Store.open(place)


def copy_probes(source: Path, folder: Path) -> None:
    """Take over the probes that another run fitted: their names say what they were fitted to."""
    for file in source.glob("probe-*.npz"):
        if not (folder / file.name).exists():
            with replacing(folder / file.name) as partial:
                shutil.copyfile(file, partial)


def mend_folder(folder: Path) -> None:
    """Clear away what a replacement that was cut off has left."""
    place, old = folder / STORE, folder / f"{STORE}.old"
    if old.exists() and not place.exists():
        old.rename(place)
    for left in (folder / f"{STORE}.new", old):
        shutil.rmtree(left, ignore_errors=True)
