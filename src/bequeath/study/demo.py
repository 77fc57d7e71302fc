"""The study of `bequeath demo`: MobileNetV2, pre-trained on ImageNet and fine-tuned on Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bequeath.models.mobilenetv2 import imagenet_state, imagenet_weights, mobilenet_v2
from bequeath.study.config import StudyConfig
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.progress import Bars
from bequeath.study.store.folder import claim, only_one
from bequeath.training.checkpoints import log_spaced
from bequeath.training.schedule import Schedule


@dataclass(frozen=True)
class Settings:
    """Size of the demo. It is small enough for 2 cores, and large enough that pre-training clearly helps and that the
    preserved share is clearly above chance."""

    pixels: int
    train_images: int
    batch_size: int
    steps: int
    checkpoints: int
    first_checkpoint: int
    grid: tuple[int, int]
    masks: int
    samples: int
    accuracy_samples: int


FULL = Settings(64, 400, 32, 100, 3, 8, (4, 4), 256, 30, 500)
QUICK = Settings(48, 200, 16, 40, 3, 4, (3, 3), 128, 30, 200)

# Usual learning rates: training from scratch needs a larger one, and stays stable with it.
_LEARNING_RATES = {"finetuned": 5e-4, "scratch": 3e-3}


def demo_study(folder: Path, settings: Settings, seed: int) -> StudyConfig:
    """The demo as an ordinary study, on the checkpoints that `train_demo` writes into `folder`."""
    checkpoints = log_spaced(settings.first_checkpoint, settings.steps, settings.checkpoints)
    architecture = "bequeath:mobilenet_v2"
    runs = {
        name: {
            "architecture": architecture,
            "checkpoints": [
                str(_folder(folder, name) / f"step-{step:06d}.safetensors") for step in checkpoints
            ],
        }
        for name in _LEARNING_RATES
    }
    return StudyConfig.model_validate(
        {
            "name": "What did ImageNet give this classifier of clothes?",
            "models": {
                "pretrained": {
                    "architecture": architecture,
                    "weights": str(imagenet_weights()),
                    "probe": True,
                },
                **runs,
            },
            "data": {
                "kind": "fashion_mnist",
                "size": settings.pixels,
                "train_images": settings.train_images,
            },
            "players": {"kind": "grid", "rows": settings.grid[0], "cols": settings.grid[1]},
            # Masks that hide only a quarter are closer to whole pictures, and fewer terms predict them better.
            "masks": {"number": settings.masks, "design": "mostly"},
            # Order 4 would take 20 s more, for a held-out R2 that is at most 0.01 higher.
            "decomposition": {"kind": "sparse", "order": 3},
            "samples": settings.samples,
            "accuracy_samples": settings.accuracy_samples,
            "seed": seed,
        }
    )


def _folder(folder: Path, name: str) -> Path:
    return folder / "models" / name


def _start(name: str, classes: int, seed: int) -> nn.Module:
    """A run's start: ImageNet's backbone with a new head, or random weights throughout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = mobilenet_v2(classes)
    if name == "finetuned":
        fresh = model.state_dict()
        backbone = {key: value for key, value in imagenet_state().items() if not key.startswith("classifier")}
        model.load_state_dict({**fresh, **backbone})
    return model


def train_demo(folder: Path, settings: Settings, config: StudyConfig, shown: Bars) -> None:
    """Fine-tune one model and train one from scratch, with the same data, steps and batches.

    Parameters
    ----------
    folder : Path
        The run's folder. A training that is finished there is not repeated.
    settings : Settings
    config : StudyConfig
        From `demo_study`.
    shown : Bars
        Shows the progress.
    """
    claim(folder)
    with only_one(folder):
        _train(folder, settings, config, shown)


def _train(folder: Path, settings: Settings, config: StudyConfig, shown: Bars) -> None:
    todo = [
        name
        for name in _LEARNING_RATES
        if not all(Path(file).exists() for file in config.models[name].checkpoints)
    ]
    if not todo:
        return
    # Imported only if there is something to train, because Lightning takes seconds to import.
    from bequeath.training.fit import fit

    inputs = StudyInputs(config)
    assert inputs.train is not None
    ticks: dict[str, Callable[[int], None]] = {
        name: shown.bar(f"training: {name}", settings.steps) for name in todo
    }
    for name in todo:
        schedule = Schedule(
            settings.steps,
            _LEARNING_RATES[name],
            settings.batch_size,
            checkpoints=settings.checkpoints,
            first_checkpoint=settings.first_checkpoint,
        )
        model = _start(name, len(inputs.classes), config.seed)
        architecture = config.models[name].architecture
        fit(
            model,
            inputs.train,
            schedule,
            _folder(folder, name),
            config.seed,
            ticks[name],
            architecture=architecture,
        )
