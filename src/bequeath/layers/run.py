"""Measures the blocks of two models, and writes layers.json, a picture and a page into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import bequeath
from bequeath.bars import Tick
from bequeath.knowledge.layerwise import judge, relative_change
from bequeath.knowledge.paired import paired_difference
from bequeath.knowledge.statistics import Estimate, mean_estimate
from bequeath.layers.gradients import batches, gradients
from bequeath.layers.outputs import MOST, similarities
from bequeath.layers.pair import Asked, Pair, load, weights_of
from bequeath.layers.recommendation import advise
from bequeath.layers.swaps import Readings, right, swapped
from bequeath.report.layers import page, swaps_figure
from bequeath.study.findings.plain import plain
from bequeath.study.progress import Bars, bars
from bequeath.study.results import write_results
from bequeath.study.store.folder import claim_plain, kept, only_one

SCHEMA = "bequeath.layers/1"
FOLDER = "parts"


def layers(
    asked: Asked,
    out: Path,
    *,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure every block of two models, and write the results into a folder.

    Measures are kept in the folder, so a second start computes only the missing ones.

    Parameters
    ----------
    asked : Asked
        Models, data and settings.
    out : Path
        A folder for these results alone.
    progress : bool
        Whether to show progress bars on the terminal.
    say : callable
        Called with a line for each setting that was chosen, before the long work.

    Returns
    -------
    dict
        The content of layers.json (docs/layers.md).

    Raises
    ------
    BequeathError
        If models, data or the folder cannot be used.
    """
    claim_plain(out, FOLDER, "a layers")
    with only_one(out):
        pair, chosen = load(asked, out / FOLDER)
        for line in chosen:
            say(line)
        with bars(progress) as shown:
            document = _document(pair, asked, chosen, _Measured(pair, asked, out / FOLDER, shown))
        write_results(out, "layers", document, swaps_figure(document), "Blocks put back", page(document))
    return document


class _Measured:
    """All measures of a pair. Measures that the folder already holds are read from it."""

    def __init__(self, pair: Pair, asked: Asked, folder: Path, shown: Bars) -> None:
        self.pair, self.asked, self.folder, self.shown = pair, asked, folder, shown
        self.changed = [block.name for block in pair.changed]
        samples, blocks = len(pair.held_out), len(pair.blocks)
        self.gradients = self._kept(
            "gradients",
            lambda tick: gradients(pair, tick),
            2 * sum(map(len, batches(len(pair.training), pair.seed))),
        )
        self.similarity = self._kept(
            "similarity", lambda tick: similarities(pair, tick), 2 * min(samples, MOST)
        )
        tick = shown.bar("blocks put back", (2 * blocks + 1) * samples)
        names = [block.name for block in pair.blocks]
        self.after = self._right("after", (), tick, refit=True)
        self.alone = {name: self._right(f"alone-{i}", (name,), tick) for i, name in enumerate(names)}
        self.up_to = {
            name: self._right(f"up-to-{i}", names[: i + 1], tick, refit=True) for i, name in enumerate(names)
        }
        self.shares = self._shares() if asked.shares else {}

    def _kept(self, name: str, make: Callable[[Tick], dict[str, Any]], total: int, *key: Any) -> Any:
        """A measure from the folder, or made now, with its own progress bar."""
        tick = self.shown.bar(name, total)
        return self._measure(name, lambda: make(tick), lambda: tick(total), *key)

    def _measure(
        self, name: str, make: Callable[[], dict[str, Any]], skip: Callable[[], None], *key: Any
    ) -> dict[str, Any]:
        """A measure from the folder, or made now; `skip` advances the progress bar if it was in the folder."""
        made = False

        def timed() -> dict[str, Any]:
            nonlocal made
            begin, made = perf_counter(), True
            return make() | {"seconds": perf_counter() - begin}

        measure = kept(self.folder, name, self.pair.key(name, *key), timed)
        if not made:
            skip()
        return measure

    def _right(self, name: str, back: Any, tick: Tick, *, refit: bool = False) -> dict[str, Any]:
        pair = self.pair
        blocks = [block for block in pair.blocks if block.name in back]
        if name != "after" and not any(block.name in self.changed for block in blocks):
            # The swap changes nothing, so it is the model after itself.
            tick(len(pair.held_out))
            return self.after
        return self._measure(
            name,
            lambda: right(pair, swapped(pair, blocks), tick, refit=refit),
            lambda: tick(len(pair.held_out)),
            refit,
        )

    def _shares(self) -> dict[str, Any]:
        """For each block put back alone, the share of the model after's interactions that is preserved."""
        pair, readings = self.pair, Readings(self.pair)
        count, config = len(pair.plan.samples), pair.config
        tick = self.shown.bar("interactions", count * len(pair.blocks))
        settings = (
            pair.plan.samples,
            config.players.model_dump(mode="json"),
            str(config.baseline),
            config.sampling.model_dump(mode="json"),
        )

        def share(block: Any) -> Callable[[], dict[str, Any]]:
            return lambda: readings.preserved(swapped(pair, [block]), tick)

        return {
            block.name: self._measure(f"share-{i}", share(block), lambda: tick(count), *settings)
            for i, block in enumerate(pair.blocks)
        }


def _document(pair: Pair, asked: Asked, chosen: list[str], measured: _Measured) -> dict[str, Any]:
    wanted, margin = asked.wanted, asked.margin
    names = [block.name for block in pair.blocks]
    after = np.array(measured.after["kept"])
    swaps = judge(
        after,
        {name: measured.alone[name]["kept"] for name in names},
        measured.after["refitted"],
        {name: measured.up_to[name]["refitted"] for name in names},
        margin,
    )
    labels = pair.held_out.labels
    skill = paired_difference(after, labels == np.bincount(labels).argmax())
    accuracy = mean_estimate(after)
    rows = measured.gradients["rows"]
    unchanged = [name for name in names if name not in measured.changed]
    roles = pair.config.roles
    of_blocks = {name: rows[name] for name in names}
    advice = advise(roles.after, names, swaps, skill, accuracy, unchanged, of_blocks, margin)
    before = pair.parts.inputs.correct(
        pair.before, pair.plan.accuracy_samples, pair.parts.outputs.order(pair.checkpoint("before"))
    )
    document: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": bequeath.__version__,
            "models": {
                role: _model(pair, role, given)
                for role, given in (("before", wanted.before), ("after", wanted.after))
            },
            "data": _data(pair),
            "settings": {
                "margin": margin,
                "seed": pair.seed,
                "samples": len(pair.plan.samples) if asked.shares else 0,
                "masks": pair.config.sampling.number if asked.shares else 0,
                "gradients": {
                    "samples": measured.gradients["samples"],
                    "batches": measured.gradients["batches"],
                },
                "similarity": measured.similarity["samples"],
            },
            "accuracy": {
                "before": mean_estimate(before.double().numpy()),
                "after": accuracy,
                "after_new_head": mean_estimate(np.array(measured.after["refitted"], dtype=np.float64)),
                "majority": pair.held_out.majority,
                "skill": skill,
            },
            "blocks": {
                block.name: {
                    "title": block.title,
                    "modules": block.modules,
                    "parameters": block.size,
                    "changed": block.name in measured.changed,
                    "relative_change": relative_change(
                        *(weights_of(model, block) for model in (pair.before, pair.after))
                    ),
                    "gradient": rows[block.name],
                    "similarity": measured.similarity["rows"][block.name],
                    "alone": _swap(
                        swaps.alone[block.name], measured.alone[block.name], measured.shares, block.name
                    ),
                    "up_to": _up_to(swaps.up_to[block.name], measured.up_to[block.name], after, len(names)),
                    "needed": block.name in swaps.needed,
                }
                for block in pair.blocks
            },
            "head": {"name": pair.head, "gradient": rows[pair.head]},
            "chosen": chosen,
            "notes": pair.notes,
            "recommendation": advice,
        }
    )
    return document


def _model(pair: Pair, role: str, given: str) -> dict[str, Any]:
    name = getattr(pair.config.roles, role)
    config = pair.config.models[name]
    return {
        "name": name,
        "given": given,
        "architecture": config.architecture,
        "probe": config.probe,
        "digest": pair.digests[role.upper()],
    }


def _data(pair: Pair) -> dict[str, Any]:
    classes = pair.parts.inputs.classes
    return {
        "modality": pair.parts.inputs.modality,
        "held_out": {
            "source": pair.held_out.source,
            "samples": len(pair.held_out),
            "digest": pair.held_out.digest,
            "classes": {
                name: int((pair.held_out.labels == label).sum()) for label, name in enumerate(classes)
            },
        },
        "training": {
            "source": pair.training.source,
            "samples": len(pair.training),
            "digest": pair.training.digest,
        },
        "preprocessing": getattr(pair.parts.inputs.data, "preprocessing", None),
    }


def _swap(
    difference: Estimate, swapped_outputs: Mapping[str, Any], shares: Mapping[str, Any], name: str
) -> dict[str, Any]:
    share = shares.get(name)
    return {
        "accuracy": float(np.mean(swapped_outputs["kept"])),
        "difference": difference,
        "preserved": share,
        "reason": None if share is not None else "interactions were not requested",
        "seconds": swapped_outputs["seconds"],
    }


def _up_to(
    difference: Estimate, swapped_outputs: Mapping[str, Any], after: Any, count: int
) -> dict[str, Any]:
    return {
        "accuracy": float(np.mean(swapped_outputs["refitted"])),
        "difference": difference,
        "kept_head": {
            "accuracy": float(np.mean(swapped_outputs["kept"])),
            "difference": paired_difference(swapped_outputs["kept"], after, count),
        },
        "seconds": swapped_outputs["seconds"],
    }
