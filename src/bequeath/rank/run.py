"""Ranks candidates on data, and writes rank.json, a picture and a page into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bequeath
from bequeath.rank.candidates import Candidate
from bequeath.rank.features import FOLDER, Features, compute, features_file, kept
from bequeath.rank.loading import Loaded, check_different, load
from bequeath.rank.measures import about, measure, similarities
from bequeath.rank.own_measures import OwnMeasure, own_measures
from bequeath.rank.recommendation import recommend
from bequeath.rank.samples import Samples
from bequeath.report.ranking import accuracies, page
from bequeath.study.config.games import EvaluationConfig
from bequeath.study.findings.plain import plain
from bequeath.study.progress import Bars, bars
from bequeath.study.results import write_results
from bequeath.study.store.folder import claim_plain, only_one

SCHEMA = "bequeath.rank/1"


@dataclass(frozen=True)
class _Description:
    """What is needed of a candidate after its model was dropped from memory."""

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
    measures: Sequence[str] = (),
    progress: bool = False,
) -> dict[str, Any]:
    """Rank candidates, and write the results into a folder.

    Every candidate is loaded and run on two samples before the long work starts. Features that are already in the
    folder are not computed again.

    Parameters
    ----------
    candidates : sequence of Candidate
        Two or more.
    samples : Samples
    out : Path
        A folder for this ranking alone.
    device : str, optional
        By default cuda if there is a GPU.
    measures : sequence of str
        Measures of the user's own, each ``module:function`` (docs/rank.md).
    progress : bool
        Whether to show progress bars on the terminal.

    Returns
    -------
    dict
        The content of rank.json (docs/rank.md).

    Raises
    ------
    BequeathError
        If a candidate or the folder cannot be used.
    """
    device = EvaluationConfig(device=device).make(None).device
    own = own_measures(measures)
    claim_plain(out, FOLDER, "a ranking's")
    with only_one(out):
        described = [_describe(load(candidate, samples, device), out, samples) for candidate in candidates]
        check_different([(one.candidate.given, one.digest) for one in described])
        # The bars start only now, so that wrong input gives a single line.
        with bars(progress) as shown:
            features = {one.candidate.name: _features(one, samples, device, shown) for one in described}
            document = _document(described, features, samples, own, shown)
        write_results(out, "rank", document, accuracies(document), "Candidates by accuracy", page(document))
    return document


def _describe(loaded: Loaded, out: Path, samples: Samples) -> _Description:
    """Keep what the results need of a candidate, so that its model, which may be large, can be dropped."""
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
    return _Description(
        candidate, features_file(out, loaded, samples), entry, loaded.no_source, loaded.digest
    )


def _features(described: _Description, samples: Samples, device: str | None, progress: Bars) -> Features:
    features = kept(described.file, samples)
    if features is None:
        candidate = described.candidate
        tick = progress.bar(f"features of {candidate.name}", len(samples.labels))
        features = compute(load(candidate, samples, device), samples, described.file, tick, device)
    return features


def _document(
    described: Sequence[_Description],
    features: dict[str, Features],
    samples: Samples,
    own: Mapping[str, OwnMeasure],
    progress: Bars,
) -> dict[str, Any]:
    choice = samples.choice
    tick = progress.bar("measures", len(described))
    by_name = {one.candidate.name: one for one in described}
    measured = {}
    for name, one in by_name.items():
        measured[name] = measure(
            features[name], one.no_source, samples.labels, choice.folds, choice.seed, own
        )
        tick(1)
    parameters = {name: one.entry["parameters"] for name, one in by_name.items()}
    ranked, advice = recommend(measured, samples.labels, parameters)
    entries = {
        name: one.entry
        | {
            "features": features[name].features.shape[1],
            "features_seconds": features[name].seconds,
            "behind_first": ranked.behind.get(name),
            "measures": {key: vars(value) for key, value in measured[name].measures.items()},
        }
        for name, one in by_name.items()
    }
    document: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
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
            "measures": about(own),
            "order": ranked.order,
            "candidates": {name: entries[name] for name in ranked.order},
            "similarity": similarities(features, choice.seed),
            "recommendation": advice,
        }
    )
    return document
