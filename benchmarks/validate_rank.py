"""How well each measure of `bequeath rank` predicts which candidate is best after fine-tuning.

    python benchmarks/validate_rank.py [--quick] [--data NAME ...] [--candidates NAME ...] [--out runs/validate-rank]

Needs examples/studies/prepare_small.py to have been run. For each of five data sets (four of pictures, one of texts)
eight candidates (validate_rank_models.py) are ranked on the training samples and then fine-tuned on the same samples,
with two seeds. For each measure it reports

- Kendall's weighted tau (scipy.stats.weightedtau; 1: the same order, 0: no relation, top ranks weigh more) of the
  measure and the mean test accuracy after fine-tuning, over the candidates of a data set, and its mean over data sets;
- the regret: how much worse the measure's first candidate is after fine-tuning than the best candidate.

Intervals are 95% intervals from 2000 resamples of the candidates; with fewer than four candidates there are none. They
are wide, because eight candidates per data set are few. All rankings and accuracies are kept in the folder; a second
start continues. It takes two to three hours on one core; --quick takes two candidates on one data set and a minute, and
shows only that it works.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import weightedtau
from torch import Tensor, nn
from validate_rank_models import ROOT, Task, picture_candidates, tasks, text_candidates

from bequeath.files import write_whole
from bequeath.rank.candidates import Candidate
from bequeath.rank.loading import Loaded, load
from bequeath.rank.run import rank
from bequeath.rank.samples import DataChoice, Samples

SEEDS = (0, 1)
MEASURES = ("probe", "knn", "logme", "leep", "h_score", "parameters")
BATCH = 32
RESAMPLES, LEAST = 2000, 4
# Usual learning rates of each family: ImageNet networks, small CIFAR networks, encoders.
RATES = {"mobilenet": 0.01, "efficientnet": 0.01, "resnet20": 0.05, "resnet56": 0.05, "minilm": 1e-4}
FULL = {"train": 600, "test": 500, "epochs": 8}
QUICK = {"train": 120, "test": 100, "epochs": 2}


def chosen(choice: DataChoice, most: int) -> Samples:
    """Some samples of a data set, equally over the classes."""
    choice = DataChoice(choice.data, choice.text, choice.label, None, None, folds=5)
    whole = Samples(choice)
    count = min(most, len(whole.prepared(None)))
    return Samples(DataChoice(choice.data, choice.text, choice.label, None, count, folds=5))


def inputs(loaded: Loaded, indices: list[int]) -> Any:
    """Pictures as one tensor, or one batch of tokens."""
    return next(loaded.batches(indices, None, "cpu"))


def rows(whole: Any, some: NDArray[np.int64]) -> Any:
    """Some of them."""
    index = torch.from_numpy(some)
    if isinstance(whole, Tensor):
        return whole[index]
    cut = {name: value[index] for name, value in whole.items()}
    # Not longer than the longest of these.
    longest = int(cut["attention_mask"].sum(1).max())
    return {name: value[:, :longest] for name, value in cut.items()}


def logits(model: nn.Module, x: Any) -> Tensor:
    """Of a batch."""
    given = model(x) if isinstance(x, Tensor) else model(**x)
    found: Tensor = getattr(given, "logits", given)
    return found


def tuned_accuracy(candidate: Candidate, train: Samples, test: Samples, epochs: int, seed: int) -> float:
    """Fine-tune all layers of a candidate on the training samples, and measure its accuracy on the test samples."""
    loaded = load(candidate, train, "cpu")
    model, labels = loaded.model, torch.from_numpy(train.labels)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head: Any = model.get_submodule(loaded.head)
    head.reset_parameters()
    x, rate = inputs(loaded, train.indices), RATES[candidate.name.split("-")[0]]
    pictures = isinstance(x, Tensor)
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
        if pictures
        else torch.optim.AdamW(model.parameters(), rate)
    )
    batches = max(1, len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * batches)
    model.train()
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for step in range(batches):
            some = order[step * BATCH : (step + 1) * BATCH]
            block = rows(x, some)
            if pictures and rng.random() < 0.5:
                block = block.flip(-1)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(logits(model, block), labels[torch.from_numpy(some)])
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    model.eval()
    held_out = load(candidate, test, "cpu")
    y = inputs(held_out, test.indices)
    right = 0
    with torch.inference_mode():
        for first in range(0, len(test.labels), BATCH):
            some = np.arange(first, min(first + BATCH, len(test.labels)))
            right += int((logits(model, rows(y, some)).argmax(1).numpy() == test.labels[some]).sum())
    return right / len(test.labels)


def kept_accuracy(
    out: Path, name: str, candidate: Candidate, train: Samples, test: Samples, epochs: int, seed: int
) -> float:
    """The accuracy after fine-tuning, read from the folder if it exists there."""
    file = out / "tuned" / f"{name}-{candidate.name}-{seed}.json"
    if not file.exists():
        begin = time.perf_counter()
        accuracy = tuned_accuracy(candidate, train, test, epochs, seed)
        found = {"accuracy": accuracy, "n": len(test.labels), "seconds": time.perf_counter() - begin}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found))
        print(f"{name} {candidate.name} seed {seed}: {accuracy:.3f} ({found['seconds']:.0f} s)", flush=True)
    return float(json.loads(file.read_text())["accuracy"])


def measured(
    out: Path, name: str, task: Task, candidates: list[Candidate], how: dict[str, int]
) -> dict[str, Any]:
    """Every measure and the fine-tuned accuracies of one data set's candidates."""
    train, test = chosen(task.train, how["train"]), chosen(task.test, how["test"])
    document = rank(candidates, train, out / "rank" / name, device="cpu")
    table: dict[str, Any] = {}
    for one in candidates:
        entry = document["candidates"][one.name]
        values = {key: measure["value"] for key, measure in entry["measures"].items()}
        tuned = [kept_accuracy(out, name, one, train, test, how["epochs"], seed) for seed in SEEDS]
        table[one.name] = {**values, "parameters": entry["parameters"], "tuned": tuned}
    advice = document["recommendation"]
    # If several are not clearly behind, it names the smallest of them as the one to begin with.
    possible = [document["order"][0], *advice["not_apart"]]
    named = advice["choice"] or min(possible, key=lambda one: table[one]["parameters"])
    return {
        "chance": test.majority,
        "n": len(test.labels),
        "recommended": named,
        "possible": possible,
        "candidates": table,
    }


def scores(values: NDArray[np.float64], tuned: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted tau and regret of one measure on one data set; tau is NaN if all values are equal."""
    tau = float(weightedtau(values, tuned).statistic) if np.ptp(values) > 0 and np.ptp(tuned) > 0 else np.nan
    return tau, float(tuned.max() - tuned[values.argmax()])


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Of each measure: tau and regret, means over data sets, with intervals over candidates."""
    rng = np.random.default_rng(0)
    lines: dict[str, Any] = {}
    for measure in MEASURES:
        columns = []
        for one in found.values():
            entries = list(one["candidates"].values())
            if all(entry[measure] is not None for entry in entries):
                columns.append(
                    (np.array([entry[measure] for entry in entries], dtype=np.float64),
                     np.array([np.mean(entry["tuned"]) for entry in entries]))
                )  # fmt: skip
        enough = bool(columns) and min(len(values) for values, _ in columns) >= LEAST
        drawn = []
        for _ in range(RESAMPLES if enough else 0):
            picks = [rng.integers(len(values), size=len(values)) for values, _ in columns]
            both = [scores(v[p], t[p]) for (v, t), p in zip(columns, picks, strict=True)]
            drawn.append([_mean([tau for tau, _ in both]), _mean([regret for _, regret in both])])
        whole = [scores(*column) for column in columns]
        lines[measure] = {"data_sets": len(columns)}
        for place, key in enumerate(("tau", "regret")):
            point = _mean([pair[place] for pair in whole])
            ends = np.nanquantile(np.array(drawn)[:, place], [0.025, 0.975]) if drawn else (np.nan, np.nan)
            lines[measure][key] = [float(one) if np.isfinite(one) else None for one in (point, *ends)]
    return lines


def _mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def table(lines: dict[str, Any]) -> str:
    """The summary as a table of Markdown."""
    rows_ = ["| measure | data sets | weighted tau [95%] | regret, points [95%] |", "|---|---|---|---|"]
    for measure, line in lines.items():
        cells = []
        for key, factor, digits in (("tau", 1, 2), ("regret", 100, 1)):
            point, low, high = line[key]
            said = "-" if point is None else f"{factor * point:.{digits}f}"
            cells.append(
                said if low is None else f"{said} [{factor * low:.{digits}f}, {factor * high:.{digits}f}]"
            )
        rows_.append(f"| {measure} | {line['data_sets']} | {cells[0]} | {cells[1]} |")
    return "\n".join(rows_)


def by_data_set(found: dict[str, Any]) -> str:
    """The recommended and the best candidate of each data set, as a Markdown table."""
    heads = (
        "data set",
        "recommended",
        "not clearly apart by the probe",
        "its accuracy, fine-tuned",
        "best candidate",
        "its accuracy",
    )
    rows_ = [f"| {' | '.join((*heads, 'behind, points'))} |", "|---" * (len(heads) + 1) + "|"]
    for name, one in found.items():
        tuned = {key: float(np.mean(entry["tuned"])) for key, entry in one["candidates"].items()}
        named, best = one["recommended"], max(tuned, key=lambda key: tuned[key])
        cells = (named, ", ".join(one["possible"]), f"{tuned[named]:.1%}", best, f"{tuned[best]:.1%}")
        rows_.append(f"| {name} | {' | '.join(cells)} | {100 * (tuned[best] - tuned[named]):.1f} |")
    return "\n".join(rows_)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two candidates, one data set, minutes")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/validate-rank")
    parser.add_argument("--data", nargs="+", help="these data sets only")
    parser.add_argument("--candidates", nargs="+", help="these candidates only")
    given = parser.parse_args()
    out: Path = given.out / "quick" if given.quick else given.out
    how = QUICK if given.quick else FULL
    data = ["hymenoptera256"] if given.quick else given.data
    names = ["mobilenet", "resnet20"] if given.quick else given.candidates
    found = {}
    for name, task in tasks().items():
        if data and name not in data:
            continue
        every = picture_candidates(out) if task.pictures else text_candidates(out)
        some = [one for one in every if not names or one.name in names]
        found[name] = measured(out, name, task, some, how)
        for one, entry in found[name]["candidates"].items():
            accuracies = ", ".join(f"{accuracy:.3f}" for accuracy in entry["tuned"])
            print(f"{name}, {one}: probe {entry['probe']:.3f}, fine-tuned {accuracies}", flush=True)
    lines = summary(found)
    # A part of the validation does not replace the results of the whole.
    if given.quick or not (data or names):
        content = json.dumps({"data_sets": found, "measures": lines}, indent=1, allow_nan=False)
        write_whole(out / "results.json", content)
        write_whole(out / "results.md", f"{by_data_set(found)}\n\n{table(lines)}\n")
    print(by_data_set(found), table(lines), sep="\n\n")


if __name__ == "__main__":
    main()
