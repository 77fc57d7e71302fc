"""Checks on the models whether the interactions that changed on flipped samples really matter.

    python benchmarks/forgotten.py [--rows NAME ...] [--suite runs/small] [--out runs/forgotten]

Needs fine-tuned models of the small suite (make study-small). For each row the models before and after (seed 0) are
read on 24 held-out samples with 256 masks; on three quarters of them one model is right and the other wrong (focus:
forgotten). The players of the interactions that changed the output most are hidden in both models. A reading is right
if the difference between the models then moves in the predicted direction. A sample is measurable if both halves of the
masks predict the same direction. Target: right in 80% of measurable samples. Takes some minutes per row on one core; a
second start continues.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from bequeath.files import write_whole
from bequeath.knowledge.hiding import share_of
from bequeath.study.config import StudyConfig, checkpoint_files, load_study
from bequeath.study.run import Study

ROOT = Path(__file__).resolve().parents[1]
ROWS = ("resnet50-tiny-imagenet", "mobilenetv2-cars", "distilbert-sst2")
KEPT = ("name", "data", "players", "baseline", "value", "decomposition", "evaluation", "seed")


def focused(trained: Path, file: Path) -> StudyConfig:
    """A study of only the models before and after of a row, on flipped samples."""
    given = yaml.safe_load((trained / "study.yaml").read_text(encoding="utf-8"))
    before = given["models"]["pretrained"]
    content = {key: value for key, value in given.items() if key in KEPT}
    content["models"] = {
        "pretrained": {key: value for key, value in before.items() if value},
        "finetuned": {"architecture": before["architecture"], "checkpoints": str(trained / "finetuned")},
    }
    content |= {"focus": "forgotten", "samples": 24, "masks": 256, "accuracy_samples": 2000}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, yaml.safe_dump(content, sort_keys=False))
    whole = load_study(file)
    *_, (_, _, last) = checkpoint_files(whole.models["finetuned"], "finetuned")
    content["models"]["finetuned"] = {"architecture": before["architecture"], "weights": last}
    write_whole(file, yaml.safe_dump(content, sort_keys=False))
    return load_study(file)


def said(estimate: dict[str, Any]) -> str:
    """With its interval."""
    mean, low, high = (estimate[key] for key in ("mean", "low", "high"))
    return "-" if mean is None else f"{mean:.0%} [{low:.0%}, {high:.0%}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--suite", type=Path, default=ROOT / "runs/small")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/forgotten")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "examples/studies")]
    right: list[bool] = []
    heads = ("models", "flipped samples read", "measurable", "direction right", "of players at random")
    heads += ("change gone: said", "measured", "players at random")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in given.rows:
        run = Study(focused(given.suite / row / "trained/seed-0", given.out / f"{row}.yaml")).run(
            given.out / row, progress=True
        )
        found = run.findings["forgotten"]
        check = found["check"]
        keys = ("right", "right_at_random", "said", "undone", "undone_at_random")
        cells = [said(check[key]) for key in keys]
        print(f"| {row} | {check['n']} | {check['measurable']} | {' | '.join(cells)} |", flush=True)
        for one in found["samples"]:
            hidden = one["change"] and one["change"]["hidden"]
            if hidden and hidden["measurable"]:
                right.append(hidden["said"] * hidden["measured"] > 0)
    whole = share_of(right)
    print(
        f"\nTogether: right in {whole.mean:.0%} [{whole.low:.0%}, {whole.high:.0%}] of {whole.n} measurable samples."
    )


if __name__ == "__main__":
    main()
