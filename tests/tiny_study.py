"""A small study on real files: coloured pictures in class folders, tiny networks from a module of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import nn

BUILDER = """
import torch
from torch import nn


def build(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Linear(54, num_classes),
    )
"""

# Layers enough to be parted into thirds.
DEEPER = """
from torch import nn


def build(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, num_classes),
    )
"""


def _build(num_classes: int) -> nn.Module:
    space: dict[str, object] = {}
    exec(BUILDER, space)
    return space["build"](num_classes)  # type: ignore[operator]


def _pictures(folder: Path, seed: int, each: int) -> None:
    rng = np.random.default_rng(seed)
    for index, name in enumerate(("blue", "green", "red")):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = rng.integers(0, 120, size=(24, 24, 3))
            pixels[6:18, 6:18, 2 - index] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def write_study(folder: Path) -> None:
    """study.yaml and all that it names but the builder's module, which is looked for in the current directory."""
    (folder / "tiny_net_for_study.py").write_text(BUILDER)
    _pictures(folder / "val", 0, 8)
    _pictures(folder / "train", 1, 8)
    (folder / "models").mkdir()
    torch.manual_seed(0)
    backbone = _build(7)  # trained on seven classes of something else
    save_file(backbone.state_dict(), folder / "models/pretrained.safetensors")
    for run in ("finetuned", "scratch"):
        model = _build(3)
        for step in (1, 10, 100):
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(torch.randn_like(p), alpha=0.2)
            save_file(model.state_dict(), folder / f"models/{run}-{step}.safetensors")
    study = {
        "name": "colours",
        "models": {
            "pretrained": {
                "architecture": "tiny_net_for_study:build",
                "weights": "models/pretrained.safetensors",
                "probe": True,
            },
            **{
                run: {
                    "architecture": "tiny_net_for_study:build",
                    "checkpoints": f"models/{run}-*.safetensors",
                }
                for run in ("finetuned", "scratch")
            },
        },
        "data": {"kind": "image_folder", "path": "val", "train": "train", "size": 24},
        "players": {"kind": "grid", "rows": 2, "cols": 2},
        "decomposition": "and-or",
        "samples": 6,
        "accuracy_samples": 24,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


@pytest.fixture
def study_dir(tmp_path, monkeypatch):
    """A folder with study.yaml and all that it names, which is the current directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "tiny_net_for_study", raising=False)
    write_study(folder)
    return folder


@pytest.fixture
def edit(study_dir):
    """Change the study file: edit("players.rows", 3) or edit("players.rows", None) to remove."""

    def change(path: str, value: object) -> Path:
        file = study_dir / "study.yaml"
        study = yaml.safe_load(file.read_text())
        *parents, last = path.split(".")
        node = study
        for part in parents:
            node = node[part]
        if value is None:
            del node[last]
        else:
            node[last] = value
        file.write_text(yaml.safe_dump(study, sort_keys=False))
        return file

    return change


@pytest.fixture
def without_report(monkeypatch):
    """No report page from runs in this process: drawing it takes as long as all the rest of so small a run."""
    from bequeath.study.run import Run

    monkeypatch.setattr(Run, "report", lambda run: None)
