"""Carries results over into new arrays when a study has changed; says first what is no longer valid."""

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
# Without bounds: they depend on all samples through each model's scale, so they are always computed anew.
_WORDS: dict[Stage, str] = {"table": "value tables", "accuracy": "accuracies", "interactions": "interactions"}


@dataclass(frozen=True)
class Change:
    """How a study differs from the arrays of its folder, and how many of their results stay valid."""

    topics: tuple[str, ...]
    kept: dict[Stage, int]
    lost: dict[Stage, int]

    def __str__(self) -> str:
        def in_words(counts: dict[Stage, int]) -> str:
            return (
                ", ".join(f"{count} {_WORDS[stage]}" for stage, count in counts.items() if count) or "nothing"
            )

        return (
            f"the study changed ({'; '.join(self.topics)}); still valid: {in_words(self.kept)}; "
            f"no longer valid: {in_words(self.lost)}"
        )


def topics(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """The differences between two identities, in words."""
    differences = [name for name in new["game"] if new["game"][name] != old["game"].get(name)]
    for part in ("checkpoints", "samples"):
        before, now = old[part], new[part]
        counts = {
            "new": len(now.keys() - before.keys()),
            "removed": len(before.keys() - now.keys()),
            "changed": sum(before[key] != now[key] for key in before.keys() & now.keys()),
        }
        changes = [f"{count} {word}" for word, count in counts.items() if count]
        if changes:
            differences.append(f"{part}: {', '.join(changes)}")
        elif list(before) != list(now):
            differences.append(f"order of {part}")
    retests = [identity["retest"]["samples"] for identity in (old, new) if "retest" in identity]
    if len(retests) == 2 and retests[0] != retests[1]:
        differences.append(f"retest samples: {len(retests[1])} instead of {len(retests[0])}")
    if old["accuracy"] != new["accuracy"]:
        differences.append("accuracy samples")
    differences += [part for part in ("decomposition", "dtype") if old[part] != new[part]]
    if old["masks"] and new["masks"] and old["masks"] != new["masks"]:
        differences.append(f"masks: {new['masks'][0]} instead of {old['masks'][0]}")
    return tuple(differences)


class Carrier:
    """Decides which chunks of a store are valid for another identity, and copies them to new arrays.

    Parameters
    ----------
    store : Store
        The folder's current arrays.
    axes : Axes
        Coordinates of the new arrays.
    identity : dict
        Identity of the new arrays.
    """

    def __init__(self, store: Store, axes: Axes, identity: dict[str, Any]) -> None:
        self._store, self._axes, self._identity = store, axes, identity
        old = store.identity
        # Tables of all 2**n masks have another form than tables of sampled masks.
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
            # With masks: auto, their number depends on all samples together.
            and (identity["masks"] or [0])[0] != "auto",
            # Other pictures under the same names change accuracies.
            "accuracy": old["accuracy"] == identity["accuracy"]
            and all(
                identity["samples"].get(name, digest) == digest for name, digest in old["samples"].items()
            ),
        }
        self._checkpoints = _unchanged(list(axes.checkpoints), old["checkpoints"], identity["checkpoints"])
        self._samples = _unchanged(list(axes.samples), old["samples"], identity["samples"])
        self._retested = retested(identity)

    def change(self) -> Change | None:
        """The change of the study; None if nothing has changed."""
        differences = topics(self._store.identity, self._identity)
        if not differences:
            return None
        kept: dict[Stage, int] = dict.fromkeys(_WORDS, 0)
        done: dict[Stage, int] = dict.fromkeys(_WORDS, 0)
        for stage in _WORDS:
            for checkpoint in range(self._store.shape[0]):
                done[stage] += int((self._store.state(stage, checkpoint) == DONE).sum())
                kept[stage] += len(self._valid_samples(stage, checkpoint))
        lost = {stage: max(0, done[stage] - kept[stage]) for stage in _WORDS}
        if not lost["table"] and self._store.identity["decomposition"] == self._identity["decomposition"]:
            lost["interactions"] = 0  # only the number of masks has changed, and reading them is quick
        return Change(differences, kept, lost)

    def kept(self, stage: Stage) -> dict[int, int]:
        """The number of valid samples, by new checkpoint."""
        return {now: len(self._valid_samples(stage, old)) for old, now in self._checkpoints.items()}

    def values_kept(self) -> dict[int, list[int]]:
        """The number of values in each valid table, by new checkpoint."""
        size = self._axes.size
        return {
            now: [
                min(len(self._store.evaluated(old, source)), size) if self._store.sparse else size
                for source, _ in self._valid_samples("table", old)
            ]
            for old, now in self._checkpoints.items()
        }

    def _valid_samples(self, stage: Stage, checkpoint: int) -> list[tuple[int, int]]:
        """(old, new) position of a checkpoint's valid samples; for accuracies (0, 0) stands for all samples."""
        if not self._valid[stage] or checkpoint not in self._checkpoints:
            return []
        done = self._store.state(stage, checkpoint) == DONE
        if stage == "accuracy":
            return [(0, 0)] if done.all() else []
        if stage == "table" and self._store.sparse:
            # Tables of fewer masks than wanted are valid, too.
            done = np.array(
                [self._store.file("table", checkpoint, sample).exists() for sample in range(len(done))]
            )
        planned = self._retested.get(self._checkpoints[checkpoint])
        return [
            (sample, now)
            for sample in np.flatnonzero(done).tolist()
            if (now := self._samples.get(sample)) is not None and (planned is None or planned[now])
        ]

    def into(self, path: Path) -> Store:
        """Make the new arrays, with all valid results in them."""
        new = Store.create(path, self._axes, self._identity, self._identity["dtype"])
        for stage in _WORDS:
            for old, now in self._checkpoints.items():
                valid = self._valid_samples(stage, old)
                if stage == "table" and new.sparse:
                    self._copy_masks(new, old, now, valid)
                    continue
                for source, target in valid:
                    ours, theirs = ((now,), (old,)) if stage == "accuracy" else ((now, target), (old, source))
                    new.adopt(self._store, stage, ours, theirs)
                if valid and stage == "interactions":
                    values = self._store.read("certificate", old)[[source for source, _ in valid]]
                    new.write_certificates(now, [target for _, target in valid], values)
                if valid:
                    new.mark(stage, now, [target for _, target in valid], DONE)
        return new

    def _copy_masks(self, new: Store, old: int, now: int, valid: list[tuple[int, int]]) -> None:
        """Copy a checkpoint's tables of sampled masks. Their number may differ, since the first masks are the same."""
        done = []
        for source, target in valid:
            values = self._store.evaluated(old, source)[: self._axes.size]
            new.write_tables(now, [target], values[None])
            done += [target] if len(values) >= new.wanted else []
        if done:
            new.mark("table", now, done, DONE)


def _unchanged(names: list[str], old: dict[str, Any], new: dict[str, Any]) -> dict[int, int]:
    """Old position -> new position of everything that is the same in both."""
    now = {name: position for position, name in enumerate(names)}
    return {i: now[name] for i, name in enumerate(old) if name in now and old[name] == new[name]}


def replace_store(folder: Path, make: Callable[[Path], object]) -> Store:
    """Replace the folder's arrays by new ones that `make(path)` makes. If this is interrupted, the old ones remain."""
    current, fresh, old = folder / STORE, folder / f"{STORE}.new", folder / f"{STORE}.old"
    make(fresh)
    if current.exists():
        current.rename(old)
    fresh.rename(current)
    shutil.rmtree(old, ignore_errors=True)
    return Store.open(current)


def copy_probes(source: Path, folder: Path) -> None:
    """Copy the probes that another run fitted. A probe's name identifies its backbone and data, so it stays valid."""
    for file in source.glob("probe-*.npz"):
        if not (folder / file.name).exists():
            with replacing(folder / file.name) as partial:
                shutil.copyfile(file, partial)


def mend_folder(folder: Path) -> None:
    """Clean up after an interrupted replacement."""
    current, old = folder / STORE, folder / f"{STORE}.old"
    if old.exists() and not current.exists():
        old.rename(current)
    for leftover in (folder / f"{STORE}.new", old):
        shutil.rmtree(leftover, ignore_errors=True)
