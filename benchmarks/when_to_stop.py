"""When to stop: whether a run's additions become less reliable before its held-out accuracy falls.

    python benchmarks/when_to_stop.py [--quick] [--tasks NAME ...] [--out runs/when-to-stop]

Needs examples/studies/prepare_small.py to have been run. ResNet-20 of CIFAR-10 is fine-tuned on 120 pictures of each of
four data sets. Two in five pictures have a wrong label, so that runs first learn and then memorise the wrong labels.
Each run is repeated with two seeds and two learning rates, with eight log-spaced checkpoints up to step 300. At every
checkpoint 12 held-out samples are read (256 masks of 16 cells). Accuracy is measured on at most 500 held-out samples.
One half of these chooses a checkpoint by each rule, the other half judges it:

- the last checkpoint, as without stopping;
- stop where the next addition is clearly less reliable than an earlier one (`dynamics.stopping.turns`; no labels);
- stop at the most accurate checkpoint by the first half (needs labels).

Everything is kept in the folder; a second start continues. It takes about an hour on one core; --quick takes short runs
on one data set, and shows only that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from validate_rank_models import SMALL, STUDIES

from bequeath.data.image_folder import ImageFolder
from bequeath.data.samples import balanced
from bequeath.files import replacing, write_whole
from bequeath.knowledge.paired import paired_difference
from bequeath.knowledge.statistics import mean_estimate
from bequeath.study.config import load_study
from bequeath.study.progress import bars
from bequeath.study.run import Run, Study
from bequeath.study.train import train

ROOT = Path(__file__).resolve().parents[1]
TASKS = {"flowers": "flowers5", "hymenoptera": "hymenoptera256", "cars": "cars12", "cifar10": "cifar10"}
SEEDS, RATES, WRONG = (0, 1), (2e-3, 5e-4), 0.4
FULL = {"pictures": 120, "steps": 300, "checkpoints": 8, "samples": 12, "masks": 256}
QUICK = {"pictures": 40, "steps": 20, "checkpoints": 3, "samples": 8, "masks": 128}

Answers = list[NDArray[np.float64]]


def with_wrong_labels(data: Path, out: Path, count: int) -> None:
    """Make a folder of links to some pictures; two in five lie in the folder of another class."""
    if out.exists():
        return
    pictures = ImageFolder(data)
    rng = np.random.default_rng(0)
    with replacing(out) as partial:
        for i in balanced(pictures, count, 0):
            label = pictures.labels[i]
            if rng.random() < WRONG:
                label = int(rng.choice([one for one in range(len(pictures.classes)) if one != label]))
            link = partial / pictures.classes[label] / pictures.ids[i].replace("/", "-")
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink((data / pictures.ids[i]).resolve(), link)


def trained(name: str, rate: float, out: Path, how: dict[str, int]) -> list[Path]:
    """Study files of the trained runs, one a seed."""
    data = SMALL / TASKS[name]
    test = data / ("test" if (data / "test").exists() else "val")
    with_wrong_labels(data / "train", out / name / "data", how["pictures"])
    content = {
        "name": f"ResNet-20 on {name}, wrong labels",
        "models": {
            "pretrained": {
                "architecture": "small_models:resnet20",
                "weights": str(SMALL / "resnet20.safetensors"),
                "probe": True,
            }
        },
        "data": {"kind": "image_folder", "path": str(test), "train": str(out / name / "data"), "size": 32}
        | {"resize": "squash"},
        "players": {"kind": "grid", "rows": 4, "cols": 4},
        "samples": how["samples"],
        "masks": how["masks"],
        "accuracy_samples": 500,
        "training": {
            "steps": how["steps"],
            "batch_size": 32,
            "checkpoints": how["checkpoints"],
            "first_checkpoint": 2,
            "seeds": list(SEEDS),
            "finetuned": {"learning_rate": rate, "decay": "constant"},
        },
    }
    file = out / name / "study.yaml"
    write_whole(file, yaml.safe_dump(content, sort_keys=False))
    with bars(True) as shown:
        return train(load_study(file), out / name / "trained", shown)


def judged(run: Run) -> dict[str, Any]:
    """One run: its results, and the accuracy of each rule's checkpoint on the half that did not choose it."""
    name = run.config.roles.after
    dynamics, evidence = run.findings["dynamics"], run.evidence()
    points, stop = dynamics["runs"][name], dynamics["stopping"][name]
    correct = [evidence.correct[position] for position in evidence.of(name)]
    choosing, judging = ([one[half::2] for one in correct] for half in (0, 1))
    steps = [point["step"] for point in points]
    turn = len(steps) - 1 if stop["turns"] is None else steps.index(stop["turns"])
    by_labels = int(np.argmax([one.mean() for one in choosing]))
    falls = _clear_fall(correct)
    return {
        "steps": steps,
        "accuracy": [float(one.mean()) for one in correct],
        "kept": [point["kept"]["corrected"] for point in points],
        "reliability": [point["added"] and point["added"]["reliability"]["mean"] for point in points],
        "cancellation": [point["added"] and point["added"]["cancellation"]["mean"] for point in points],
        "turns": stop["turns"],
        "best": stop["best"],
        "falls": None if falls is None else steps[falls],
        "judged": len(judging[0]),
        "last": float(judging[-1].mean()),
        "by_reliability": float(judging[turn].mean()),
        "by_labels": float(judging[by_labels].mean()),
        "gain": [float((judging[place] - judging[-1]).mean()) for place in (turn, by_labels)],
    }


def _clear_fall(correct: Answers) -> int | None:
    """The first checkpoint that is clearly less accurate than the most accurate one before."""
    best = 0
    for place, one in enumerate(correct):
        if paired_difference(one, correct[best]).high < 0:
            return place
        if one.mean() > correct[best].mean():
            best = place
    return None


def page(found: dict[str, dict[str, Any]]) -> str:
    """Tables of Markdown."""
    lines = [
        "| run | reliability of additions turns after step | most accurate at | accuracy has clearly fallen by | "
        "last | stopped by reliability | by labels |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        cells = [_said(one["turns"], "never"), str(one["best"]), _said(one["falls"], "never")]
        cells += [f"{100 * one[key]:.1f}%" for key in ("last", "by_reliability", "by_labels")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append("")
    for place, rule in enumerate(("reliability", "labels")):
        gain = mean_estimate([one["gain"][place] for one in found.values()])
        lines.append(
            f"Stopped by {rule}: {100 * gain.mean:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] against "
            f"the last checkpoint, {gain.n} runs."
        )
    fell = [one for one in found.values() if one["falls"] is not None]
    early = [one for one in fell if one["turns"] is not None and one["turns"] < one["falls"]]
    lines.append(
        f"Of {len(fell)} runs whose accuracy clearly fell, reliability had fallen before in {len(early)}."
    )
    lines += [
        "",
        "| run | step | accuracy | left of the start | reliability of what was added | cancellation |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, one in {"mean": _mean(found), **found}.items():
        columns = (one[key] for key in ("steps", "accuracy", "kept", "reliability", "cancellation"))
        for step, accuracy, *others in zip(*columns, strict=True):
            cells = " | ".join("-" if value is None else f"{value:.2f}" for value in others)
            lines.append(f"| {name} | {step} | {100 * accuracy:.1f}% | {cells} |")
    return "\n".join(lines)


def _mean(found: dict[str, dict[str, Any]]) -> dict[str, list[Any]]:
    """Means over runs with the same steps, for each checkpoint, without values that are not measurable."""
    first = next(iter(found.values()))
    means: dict[str, list[Any]] = {"steps": first["steps"]}
    for key in ("accuracy", "kept", "reliability", "cancellation"):
        rows = zip(*(one[key] for one in found.values()), strict=True)
        known = ([value for value in row if value is not None] for row in rows)
        means[key] = [float(np.mean(row)) if row else None for row in known]
    return means


def _said(step: int | None, absent: str) -> str:
    return absent if step is None else str(step)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one data set, short runs")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, help="these only")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/when-to-stop")
    given = parser.parse_args()
    sys.path.insert(0, str(STUDIES))
    out: Path = (given.out / "quick" if given.quick else given.out).resolve()
    found = {}
    for name in ["flowers"] if given.quick else given.tasks or TASKS:
        for rate in RATES[:1] if given.quick else RATES:
            place = out / f"rate-{rate:g}"
            for seed, file in enumerate(trained(name, rate, place, QUICK if given.quick else FULL)):
                run = Study.from_yaml(file).run(place / name / f"run-{seed}", progress=True)
                found[f"{name}, rate {rate:g}, seed {seed}"] = judged(run)
    table = page(found)
    write_whole(out / "results.json", json.dumps(found, indent=1, allow_nan=False))
    write_whole(out / "results.md", table + "\n")
    print(table)


if __name__ == "__main__":
    main()
