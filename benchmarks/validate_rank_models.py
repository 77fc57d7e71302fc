"""Candidates and data of benchmarks/validate_rank.py: the files of prepare_small.py, and variants of them.

| candidate | what |
|---|---|
| mobilenet, efficientnet | MobileNetV2 and EfficientNet-lite0, ImageNet, pictures of 64 pixels |
| resnet20, resnet56 | ResNet-20 and ResNet-56, CIFAR-10, pictures of 32 pixels |
| minilm-6 | all-MiniLM-L6-v2; minilm-4 to minilm-1: only its first layers |
| ...-late, ...-middle | the last or middle third of its layers has random weights |
| ...-random | the same network with random weights |
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from bequeath.models.mobilenetv2 import imagenet_state, mobilenet_v2
from bequeath.models.preprocessing import Preprocessing
from bequeath.models.state_files import read_state
from bequeath.rank.candidates import Candidate
from bequeath.rank.samples import DataChoice
from bequeath.training.disturb import Third, reinitialise

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ROOT / "examples/studies"
SMALL = STUDIES / "data/small"
# The networks' builders are the small suite's.
sys.path.insert(0, str(STUDIES))

OF_IMAGENET = Preprocessing(64)
OF_LITE = Preprocessing(64, (0.5,) * 3, (0.5,) * 3)
OF_CIFAR = Preprocessing(32)


@dataclass(frozen=True)
class Task:
    """A data set: samples to rank and fine-tune on, and samples to judge the fine-tuned models by."""

    train: DataChoice
    test: DataChoice
    pictures: bool


def tasks() -> dict[str, Task]:
    """Data sets by name."""
    found = {
        name: Task(DataChoice(str(SMALL / name / "train")), DataChoice(str(SMALL / name / test)), True)
        for name, test in (
            ("hymenoptera256", "val"),
            ("flowers5", "test"),
            ("cars12", "test"),
            ("cifar10", "test"),
        )
    }
    columns: dict[str, Any] = {"text": "0", "label": "1"}
    found["sst2"] = Task(
        *(DataChoice(str(SMALL / "sst2" / f"{part}.tsv"), **columns) for part in ("train", "dev")), False
    )
    return found


def picture_candidates(folder: Path) -> list[Candidate]:
    """Eight networks for pictures; state files of variants are written once."""
    import small_models

    resnet56 = SMALL / "resnet56.safetensors"
    lite = SMALL / "efficientnet_lite0.safetensors"
    whole = [
        Candidate("mobilenet", "", "bequeath:mobilenet_v2", "hub", {}, OF_IMAGENET),
        Candidate("efficientnet", "", "small_models:efficientnet_lite0", str(lite), {}, OF_LITE),
        Candidate("resnet20", "", "small_models:resnet20", str(SMALL / "resnet20.safetensors"), {}, OF_CIFAR),
        Candidate("resnet56", "", "small_models:resnet56", str(resnet56), {}, OF_CIFAR),
    ]

    def mobile() -> nn.Module:
        model = mobilenet_v2(1000)
        model.load_state_dict(imagenet_state())
        return model

    def deep() -> nn.Module:
        model = small_models.resnet56(10)
        model.load_state_dict(read_state(resnet56))
        return model

    variants: list[tuple[int, str, Callable[[], nn.Module], Callable[[], nn.Module]]] = [
        (0, "late", mobile, lambda: mobilenet_v2(1000)),
        (0, "middle", mobile, lambda: mobilenet_v2(1000)),
        (0, "random", mobile, lambda: mobilenet_v2(1000)),
        (3, "late", deep, lambda: small_models.resnet56(10)),
    ]
    for of, how, build, fresh in variants:
        name = f"{whole[of].name}-{how}"
        file = folder / "models" / f"{name}.safetensors"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            state = _varied(build, fresh, how).state_dict()
            save_file({key: value.contiguous() for key, value in state.items()}, file)
        architecture = "bequeath:mobilenet_v2" if of == 0 else whole[of].architecture
        whole.append(replace(whole[of], name=name, architecture=architecture, weights=str(file)))
    return _given(whole)


def text_candidates(folder: Path) -> list[Candidate]:
    """Eight encoders."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    source = SMALL / "minilm-l6"
    found = [Candidate("minilm-6", "", f"transformers:{source}", "hub")]
    for how in ("4", "3", "2", "1", "late", "middle", "random"):
        name = f"minilm-{how}" if how.isdecimal() else f"minilm-6-{how}"
        target = folder / "models" / name
        if not target.exists():
            model: Any
            if how.isdecimal():
                model = AutoModel.from_pretrained(source)
                model.encoder.layer = model.encoder.layer[: int(how)]
                model.config.num_hidden_layers = int(how)
            else:
                model = _varied(
                    lambda: AutoModel.from_pretrained(source),
                    lambda: AutoModel.from_config(AutoConfig.from_pretrained(source)),
                    how,
                )
            partial = target.with_name(target.name + ".partial")
            model.save_pretrained(partial)
            AutoTokenizer.from_pretrained(source).save_pretrained(partial)
            partial.rename(target)
        found.append(Candidate(name, "", f"transformers:{target}", "hub"))
    return _given(found)


def _varied(build: Callable[[], nn.Module], fresh: Callable[[], nn.Module], how: str) -> nn.Module:
    torch.manual_seed(1)
    start = fresh()
    if how == "random":
        return start
    model = copy.deepcopy(build())
    third: Third = "late" if how == "late" else "middle"
    reinitialise(model, start, third)
    return model


def _given(candidates: list[Candidate]) -> list[Candidate]:
    """Named as on the command line."""
    return [replace(one, given=f"{one.architecture}={one.weights}") for one in candidates]
