"""Parts of study files that the pages show are read by the reader of study files."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from pages import PAGES, blocks, name_of

from bequeath.study.config import StudyConfig
from bequeath.study.config.own import NO_CODE
from bequeath.training import Checkpoints

SHOWN = [(page, text) for page in PAGES for text in blocks(page, "yaml")]

# What stands around a part of a study file.
WHOLE: dict[str, Any] = {
    "models": {
        "imagenet": {"architecture": "torchvision:resnet18", "weights": "hub", "probe": True},
        "birds": {"architecture": "torchvision:resnet18", "weights": "birds.safetensors"},
    },
    "roles": {"before": "imagenet", "after": "birds"},
    "data": {"kind": "image_folder", "path": "data/val", "train": "data/train"},
    "players": {"kind": "grid", "rows": 4, "cols": 4},
}


@pytest.mark.parametrize(("page", "text"), SHOWN, ids=[name_of(page) for page, _ in SHOWN])
def test_a_part_of_a_study_file_is_taken(page, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/finetuned", "runs/scratch"):  # as pages call what a callback wrote
        checkpoints = Checkpoints(folder, architecture="torchvision:resnet18")
        checkpoints.begin(torch.nn.Linear(1, 1), last=1)
        checkpoints.after(torch.nn.Linear(1, 1), 1)
        checkpoints.end()
    shown = yaml.safe_load(text)
    around = {
        key: part for key, part in WHOLE.items() if "models" not in shown or key not in ("models", "roles")
    }
    config = StudyConfig.model_validate(around | shown, context=NO_CODE)
    assert set(shown) <= set(StudyConfig.model_fields)
    assert set(config.models) >= set(shown.get("models", {}))


def test_there_are_some():
    assert len(SHOWN) > 4
