"""From candidates and data to a ranking in a folder: rank.json, a picture and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bequeath
from bequeath.files import writable, write_whole
from bequeath.rank.candidates import Candidate
from bequeath.rank.features import FOLDER, Features, compute, features_file, kept
from bequeath.rank.loading import Loaded, check_different, load
from bequeath.rank.measures import ABOUT, measure, similarities
from bequeath.rank.recommendation import recommend
from bequeath.rank.samples import Samples
from bequeath.report.ranking import accuracies, page
from bequeath.report.style import to_svg
from bequeath.study.config.games import EvaluationConfig
from bequeath.study.findings.plain import plain
from bequeath.study.progress import Bars, bars
from bequeath.study.store.folder import claim_plain, only_one

RANK, PICTURE, PAGE = "rank.json", "rank.svg", "rank.html"
SCHEMA = "bequeath.rank/1"


@dataclass(frozen=True)
class _Known:
    """What of a loaded candidate is needed after its model is gone."""

    candidate: Candidate
    file: Path
    entry: dict[str, Any]
    no_source: str | None
    digest: str


def rank(
    candidates: Sequence[Candidate],
    samples: Samples,
    out: Path,
    *,
    device: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Rank candidates, and write what came out into a folder.

    Every candidate is loaded and given two samples before the long work starts. Features that the folder holds already
    are not computed again.

    Parameters
    ----------
    candidates : sequence of Candidate
        Two or more.
    samples : Samples
    out : Path
        A folder of its own.
    device : str, optional
        By default cuda where there is one.
    progress : bool
        Whether bars on the terminal show how far it is.

    Returns
    -------
    dict
        The content of rank.json (docs/rank.md).

    Raises
    ------
    BequeathError
        If a candidate cannot be used, or the folder.
    """
    device = EvaluationConfig(device=device).make(None).device
    claim_plain(out, FOLDER, "a ranking's")
    with only_one(out):
        known = [_known(load(one, samples, device), out, samples) for one in candidates]
        check_different([(one.candidate.given, one.digest) for one in known])
        # Not before: an error in what is given is one line alone.
        with bars(progress) as shown:
            found = {one.candidate.name: _features(one, samples, device, shown) for one in known}
            document = _document(known, found, samples, shown)
        write(out, document)
    return document


def write(out: Path, document: dict[str, Any]) -> None:
    """Write a ranking's document, its picture and its page."""
    with writable(out):
        write_whole(out / RANK, json.dumps(document, indent=1, allow_nan=False) + "\n")
        told = " ".join(document["recommendation"]["text"])
        drawn = to_svg(accuracies(document), "rank", "Candidates by accuracy", told, inline=False)
        write_whole(out / PICTURE, drawn + "\n")
        write_whole(out / PAGE, page(document))


def _known(loaded: Loaded, out: Path, samples: Samples) -> _Known:
    """A model is dropped as soon as all that is to be told of it is known: candidates may be large."""
    candidate = loaded.candidate
    entry = {
        "given": candidate.given,
        "architecture": candidate.architecture,
        "weights": candidate.weights,
        "digest": loaded.digest,
        "parameters": loaded.parameters,
        "source_classes": None if loaded.source is None else len(loaded.source[0]),
        "preprocessing": plain(loaded.preprocessing),
        "notes": list(loaded.notes),
    }
    return _Known(candidate, features_file(out, loaded, samples), entry, loaded.no_source, loaded.digest)


def _features(known: _Known, samples: Samples, device: str | None, progress: Bars) -> Features:
    found = kept(known.file, samples)
    if found is None:
        tick = progress.bar(f"features, {known.candidate.name}", len(samples.labels))
        found = compute(load(known.candidate, samples, device), samples, known.file, tick, device)
    return found


def _document(
    known: Sequence[_Known], found: dict[str, Features], samples: Samples, progress: Bars
) -> dict[str, Any]:
    choice = samples.choice
    tick = progress.bar("measured", len(known))
    measured = {}
    for one in known:
        name = one.candidate.name
        measured[name] = measure(found[name], one.no_source, samples.labels, choice.folds, choice.seed)
        tick(1)
    parameters = {one.candidate.name: one.entry["parameters"] for one in known}
    ranked, advice = recommend(measured, samples.labels, parameters)
    entries = {
        one.candidate.name: one.entry
        | {
            "features": found[one.candidate.name].features.shape[1],
            "features_seconds": found[one.candidate.name].seconds,
            "behind_first": ranked.behind.get(one.candidate.name),
            "measures": {key: vars(m) for key, m in measured[one.candidate.name].measures.items()},
        }
        for one in known
    }
    document: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "version": bequeath.__version__,
            "data": {
                "source": samples.source,
                "modality": samples.modality,
                "classes": dict(zip(samples.classes, samples.counts, strict=True)),
                "samples": len(samples.labels),
                "majority": samples.majority,
                "digest": samples.digest,
                "folds": choice.folds,
                "seed": choice.seed,
            },
            "measures": ABOUT,
            "order": ranked.order,
            "candidates": {name: entries[name] for name in ranked.order},
            "similarity": similarities(found, choice.seed),
            "recommendation": advice,
        }
    )
    return document
