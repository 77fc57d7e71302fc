"""Quality of the recommendation of `bequeath layers`: freezing as recommended, compared with other ways to fine-tune.

    python benchmarks/validate_layers.py [--quick] [--tasks NAME ...] [--out runs/validate-layers]

Needs examples/studies/prepare_small.py to have been run. For each of four tasks (three of pictures, one of texts)

1. the training samples are divided into halves. All layers of a model are fine-tuned on the first half (seed 0, with
   the same number of steps as below), and `bequeath layers` compares it with the model before on the second half. This
   gives the recommendation, without the test samples;
2. with each of three other seeds the model before is fine-tuned anew on all training samples: all layers; frozen as
   recommended; frozen up to a quarter, half and three quarters of the blocks; only the head; and all layers by Auto-RGN
   (Lee et al. 2023): in each step each block's learning rate is multiplied by its relative gradient norm, divided by
   the largest norm of all blocks and the head;
3. all are judged on the test samples: accuracy, difference to fine-tuning all layers (95%, bootstrap over samples and
   seeds), and seconds of one core (process time of the training loop).

It also compares the differences that `bequeath layers` predicts from swaps with the real ones. Answers of all
fine-tuned models and all recommendations are kept in the folder; a second start continues. It takes 40 minutes on one
core; --quick takes one task and a minute, and shows only that it works.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from validate_rank import BATCH, RATES, chosen, inputs, logits, rows
from validate_rank_models import OF_CIFAR, OF_IMAGENET, ROOT, SMALL, tasks

from bequeath.data.samples import Subset, split
from bequeath.files import replacing, write_whole
from bequeath.knowledge.layerwise import relative_gradients
from bequeath.knowledge.statistics import Estimate, mean_estimate
from bequeath.layers.pair import Asked
from bequeath.layers.run import layers
from bequeath.models.blocks import blocks
from bequeath.rank.candidates import Candidate
from bequeath.rank.loading import load
from bequeath.rank.samples import DataChoice, Samples
from bequeath.study.direct import Wanted
from bequeath.training.parts import freeze, keep_frozen, only_heads

FIRST, SEEDS = 0, (1, 2, 3)
FULL = {"train": 600, "texts": 400, "test": 500, "epochs": 8, "text_epochs": 3}
QUICK = {"train": 120, "texts": 120, "test": 100, "epochs": 2, "text_epochs": 1}
WHOLE, HEAD, AUTO = "whole", "head only", "Auto-RGN"


@dataclass(frozen=True)
class Task:
    """A data set (as in validate_rank_models.py), a model before, and its argument for the command."""

    data: str
    candidate: Candidate
    size: int | None
    before: str
    architecture: str | None
    text: bool = False


def all_tasks() -> dict[str, Task]:
    """By name."""
    resnet = str(SMALL / "resnet20.safetensors")
    mobile = Candidate("mobilenet", "mobilenet", "bequeath:mobilenet_v2", "hub", {}, OF_IMAGENET)
    residual = Candidate("resnet20", "resnet20", "small_models:resnet20", resnet, {}, OF_CIFAR)
    minilm = Candidate("minilm", "minilm", f"transformers:{SMALL / 'minilm-l6'}", "hub")
    return {
        "hymenoptera": Task("hymenoptera256", mobile, 64, "bequeath:mobilenet_v2", "bequeath:mobilenet_v2"),
        "flowers": Task("flowers5", residual, 32, resnet, "small_models:resnet20"),
        "cars": Task("cars12", mobile, 64, "bequeath:mobilenet_v2", "bequeath:mobilenet_v2"),
        "sst2": Task("sst2", minilm, None, str(SMALL / "minilm-l6"), None, text=True),
    }


def parts(name: str, task: Task, out: Path, how: dict[str, int]) -> dict[str, Path]:
    """Folders or files of all training samples, and of their halves; written once."""
    ending = ".tsv" if task.text else ""
    names = {part: out / "data" / name / f"{part}{ending}" for part in ("all", "first", "second")}
    if all(place.exists() for place in names.values()):
        return names
    given = chosen(tasks()[task.data].train, how["texts" if task.text else "train"])
    whole: Any = given.prepared(None)
    some = Subset(whole, given.indices, whole.source)
    first, second = split(some, 0.5, FIRST)
    for part, indices in (("all", range(len(some))), ("first", first.indices), ("second", second.indices)):
        chosen_ones = [given.indices[i] for i in indices]
        names[part].parent.mkdir(parents=True, exist_ok=True)
        with replacing(names[part]) as partial:
            if task.text:
                with partial.open("w", newline="", encoding="utf-8") as file:
                    lines = [(whole[i].x, whole.classes[whole.labels[i]]) for i in chosen_ones]
                    csv.writer(file, delimiter="\t").writerows(lines)
                continue
            for i in chosen_ones:
                file_of = Path(whole.path) / whole[i].id
                link = partial / whole.classes[whole.labels[i]] / file_of.name
                link.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(file_of.resolve(), link)
    return names


def samples(task: Task, place: Path) -> Samples:
    """All samples of a part."""
    columns: dict[str, Any] = {"text": "0", "label": "1"} if task.text else {}
    return Samples(DataChoice(str(place), **columns, samples=_count(task, place), folds=3))


def _count(task: Task, place: Path) -> int:
    if task.text:
        return len(place.read_text(encoding="utf-8").splitlines())
    return sum(1 for file in place.rglob("*") if file.is_file())


def fine_tune(task: Task, train: Samples, arm: str, seed: int, epochs: int) -> tuple[nn.Module, Any, float]:
    """A model fine-tuned in one of the ways; `arm` is one of them, or the block up to which it is frozen."""
    loaded = load(task.candidate, train, "cpu")
    model, labels = loaded.model, torch.from_numpy(train.labels)
    every = blocks(model)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head: Any = model.get_submodule(loaded.head)
    head.reset_parameters()
    model.requires_grad_(True)
    if arm == HEAD:
        only_heads(model)
    elif arm not in (WHOLE, AUTO):
        freeze(model, arm)
    x, rate = inputs(loaded, train.indices), RATES[task.candidate.name]
    own = dict(model.named_parameters())
    groups = [[own[name] for name in block.parameters if own[name].requires_grad] for block in every]
    groups = [group for group in (*groups, list(head.parameters())) if group]
    given = [{"params": group} for group in groups]
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(given, rate)
        if task.text
        else torch.optim.SGD(given, rate, momentum=0.9, weight_decay=1e-4)
    )
    batches = max(1, len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * batches)
    model.train()
    keep_frozen(model)
    begin = time.process_time()
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for step in range(batches):
            some = order[step * BATCH : (step + 1) * BATCH]
            block = rows(x, some)
            if not task.text and rng.random() < 0.5:
                block = block.flip(-1)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(logits(model, block), labels[torch.from_numpy(some)])
            torch.autograd.backward(loss)
            rates = [group["lr"] for group in optimizer.param_groups]
            if arm == AUTO:
                _scale(optimizer, groups)
            optimizer.step()
            for group, before in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = before
            schedule.step()
    return model.eval(), loaded, time.process_time() - begin


def _scale(optimizer: torch.optim.Optimizer, groups: list[list[nn.Parameter]]) -> None:
    """Auto-RGN: each group's learning rate times its relative gradient norm over the largest."""
    gradients = [
        sum(float(p.grad.pow(2).sum()) for p in group if p.grad is not None) ** 0.5 for group in groups
    ]
    weights = [sum(float(p.detach().pow(2).sum()) for p in group) ** 0.5 for group in groups]
    relative = np.nan_to_num(relative_gradients([gradients], weights)[0])
    top = float(relative.max()) or 1.0
    for group, value in zip(optimizer.param_groups, relative, strict=True):
        group["lr"] *= float(value) / top


def correct(model: nn.Module, task: Task, test: Samples) -> list[int]:
    """Which test samples a model gets right."""
    y = inputs(load(task.candidate, test, "cpu"), test.indices)
    found = []
    with torch.inference_mode():
        for first in range(0, len(test.labels), BATCH):
            some = np.arange(first, min(first + BATCH, len(test.labels)))
            said = logits(model, rows(y, some)).argmax(1).numpy()
            found += (said == test.labels[some]).astype(int).tolist()
    return found


def judged(out: Path, name: str, task: Task, arm: str, seed: int, how: dict[str, int]) -> dict[str, Any]:
    """Answers of a model fine-tuned on all training samples, and seconds; read from the folder if they exist."""
    file = out / "tuned" / f"{name}-{arm.replace(' ', '-')}-{seed}.json"
    if not file.exists():
        train = samples(task, parts(name, task, out, how)["all"])
        test = chosen(tasks()[task.data].test, how["test"])
        epochs = how["text_epochs" if task.text else "epochs"]
        model, _, seconds = fine_tune(task, train, arm, seed, epochs)
        content = {"correct": correct(model, task, test), "seconds": seconds, "majority": test.majority}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(content))
        accuracy = np.mean(content["correct"])
        print(f"{name}, {arm}, seed {seed}: {accuracy:.3f} ({seconds:.0f} s)", flush=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def recommended(out: Path, name: str, task: Task, how: dict[str, int]) -> dict[str, Any]:
    """The document of `bequeath layers` on the halves of the training samples."""
    places = parts(name, task, out, how)
    after = out / "after" / (name if task.text else f"{name}.safetensors")
    if not after.exists():
        after.parent.mkdir(parents=True, exist_ok=True)
        # Twice as many epochs on half of the samples give the same number of steps.
        epochs = 2 * how["text_epochs" if task.text else "epochs"]
        model, loaded, _ = fine_tune(task, samples(task, places["first"]), WHOLE, FIRST, epochs)
        with replacing(after) as partial:
            if task.text:
                saved: Any = model
                saved.save_pretrained(partial)
                loaded.tokenizer.save_pretrained(partial)
            else:
                save_file({key: value.contiguous() for key, value in model.state_dict().items()}, partial)
    columns: dict[str, Any] = {"text": "0", "label": "1"} if task.text else {}
    wanted = Wanted(
        task.before,
        str(after),
        str(places["second"]),
        train=str(places["first"]),
        architecture=task.architecture,
        size=task.size,
        **columns,
    )
    begin = time.process_time()
    document = layers(Asked(wanted, shares=False), out / "layers" / name)
    print(
        f"{name}: {document['recommendation']['snippet'] or 'nothing to freeze'} "
        f"({time.process_time() - begin:.0f} s)",
        flush=True,
    )
    return document


def measured(out: Path, name: str, task: Task, how: dict[str, int]) -> dict[str, Any]:
    """All of one task."""
    document = recommended(out, name, task, how)
    advice, names = document["recommendation"], list(document["blocks"])
    choice = HEAD if advice["head_only"] else advice["freeze"] or WHOLE
    depths = [names[max(0, round(share * len(names)) - 1)] for share in (0.25, 0.5, 0.75)]
    ways = list(dict.fromkeys([WHOLE, choice, HEAD, AUTO, *depths]))
    found = {way: [judged(out, name, task, way, seed, how) for seed in SEEDS] for way in ways}
    reference = np.array([one["correct"] for one in found[WHOLE]], dtype=np.float64)
    table = {}
    for way, runs in found.items():
        answers = np.array([one["correct"] for one in runs], dtype=np.float64)
        key = names[-1] if way == HEAD else way
        foretold = document["blocks"][key]["up_to"]["difference"] if key in names else None
        table[way] = {
            "accuracy": mean_estimate(answers).to_dict(),
            "difference": mean_estimate(answers - reference).to_dict(),
            "foretold": foretold,
            "seconds": float(np.mean([one["seconds"] for one in runs])),
            "runs": [float(row.mean()) for row in answers],
        }
    return {
        "recommended": choice,
        "sure": advice["sure"],
        "blocks": len(names),
        "majority": found[WHOLE][0]["majority"],
        "held_out": document["data"]["held_out"]["samples"],
        "n": reference.shape[1],
        "ways": table,
    }


def summary(found: dict[str, Any]) -> str:
    """Markdown: a table for each way to fine-tune and task, their means, and the predictions."""
    head = "| task | way | accuracy [95%] | points to whole [95%] | foretold by swaps | s |"
    lines = [head, "|---|---|---|---|---|---|"]
    for name, task in found.items():
        for way, row in task["ways"].items():
            said = [way if way in (WHOLE, HEAD, AUTO) else f"`freeze: {way}`"]
            said += ["**recommended**"] if way == task["recommended"] else []
            foretold = "" if row["foretold"] is None else f"{100 * row['foretold']['mean']:+.1f}"
            difference = "" if way == WHOLE else _interval(row["difference"], "+.1f")
            lines.append(
                f"| {name} | {', '.join(said)} | {_interval(row['accuracy'], '.1f')} | {difference} | {foretold} | "
                f"{row['seconds']:.0f} |"
            )
    lines += [
        "",
        "| mean over tasks | points to whole | worst task | seconds of those of whole |",
        "|---|---|---|---|",
    ]
    for title, pick in (
        ("recommended", lambda task: task["recommended"]),
        (HEAD, lambda task: HEAD),
        (AUTO, lambda task: AUTO),
    ):
        chosen_rows = [task["ways"][pick(task)] for task in found.values()]
        points = [100 * row["difference"]["mean"] for row in chosen_rows]
        times = [
            row["seconds"] / task["ways"][WHOLE]["seconds"]
            for row, task in zip(chosen_rows, found.values(), strict=True)
        ]
        lines.append(
            f"| {title} | {np.mean(points):+.1f} | {min(points):+.1f} | {100 * np.mean(times):.0f}% |"
        )
    best = []
    for task in found.values():
        reached = {way: 100 * row["accuracy"]["mean"] for way, row in task["ways"].items()}
        best.append(max(reached.values()) - reached[task["recommended"]])
    pairs = [
        (100 * row["foretold"]["mean"], 100 * row["difference"]["mean"])
        for task in found.values()
        for row in task["ways"].values()
        if row["foretold"] is not None
    ]
    foretold, real = np.array(pairs).T
    lines += [
        "",
        f"What the recommended way loses against the best of all ways tried on its task: {np.mean(best):.1f} points in "
        f"the mean, {max(best):.1f} at most. Foretold less real difference of {len(pairs)} frozen models: "
        f"{np.mean(foretold - real):+.1f} points in the mean, {np.abs(foretold - real).mean():.1f} in absolute value; "
        f"Pearson's correlation {np.corrcoef(foretold, real)[0, 1]:.2f}.",
    ]
    return "\n".join(lines)


def _interval(estimate: dict[str, Any] | Estimate, form: str) -> str:
    row = estimate if isinstance(estimate, dict) else estimate.to_dict()
    return f"{100 * row['mean']:{form}} [{100 * row['low']:{form}}, {100 * row['high']:{form}}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one task, small, a minute")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/validate-layers")
    parser.add_argument("--tasks", nargs="+", choices=list(all_tasks()), help="these tasks only")
    given = parser.parse_args()
    out: Path = given.out / "quick" if given.quick else given.out
    how = QUICK if given.quick else FULL
    names = given.tasks or (["flowers"] if given.quick else list(all_tasks()))
    found = {name: measured(out, name, all_tasks()[name], how) for name in names}
    text = summary(found)
    # A part of the validation does not replace the results of the whole.
    if given.quick or given.tasks is None:
        write_whole(out / "results.json", json.dumps(found, indent=1, allow_nan=False))
        write_whole(out / "results.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
