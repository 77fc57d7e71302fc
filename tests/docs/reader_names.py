"""What a reader of the pages has already: models, samples and their interactions, small. Pages name it in comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

import bequeath as bq


def _net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3)
    ).eval()


def _game(seed: int, image: torch.Tensor, cells: int) -> bq.Game:
    players = bq.players.grid(cells, cells)
    return bq.Game(_net(seed), image, players, bq.baselines.mean(), bq.values.log_odds(1))


def pictures() -> dict[str, Any]:
    """A network, a picture, values on masks, and interactions of three networks on eight pictures."""
    torch.manual_seed(0)
    images = torch.rand(8, 3, 16, 16)
    masks = bq.draw_masks(9, 64)
    i1, i2, i3 = (
        bq.explain([_game(seed, image, 3) for image in images], masks=64, order=2) for seed in range(3)
    )
    v1, v2, v3 = (_game(seed, images[0], 2).table() for seed in range(3))
    return {
        "model": _net(0),
        "image": images[0],
        "label": 1,
        "masks": masks,
        "values": torch.stack([torch.as_tensor(_game(0, image, 3)(masks)) for image in images]),
        "i1": i1,
        "i2": i2,
        "i3": i3,
        "small": _game(0, images[0], 2),
        "v1": v1,
        "v2": v2,
        "v3": v3,
    }


def sixteen_cells() -> dict[str, Any]:
    """Values of one game on masks of 16 players."""
    game = _game(0, torch.rand(3, 16, 16), 4)
    return {"game": game, "values": torch.as_tensor(game(bq.draw_masks(16, 256)))}


class _Stages(nn.Module):
    """A network with a layer called ``layer3``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer3 = nn.Conv2d(3, 4, 3, stride=2)
        self.fc = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.layer3(x).relu().mean((2, 3)))
        return logits


def texts_tables_and_layers() -> dict[str, Any]:
    """An encoder and its tokenizer, a perceptron and a row, a network with stages, and some games."""
    from tiny_text import make_project
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from bequeath.models import mlp

    make_project(Path())
    images = torch.rand(8, 3, 16, 16)
    train = torch.rand(20, 4)
    return {
        "model": AutoModelForSequenceClassification.from_pretrained("encoder", num_labels=2).eval(),
        "tokenizer": AutoTokenizer.from_pretrained("encoder"),
        "mlp": mlp(2, num_features=4).eval(),
        "row": train[0],
        "names": ["age", "height", "weight", "income"],
        "train": train,
        "resnet": _Stages().eval(),
        "images": images,
        "image": images[0],
        "games": [_game(0, image, 2) for image in images],
    }


def a_loop() -> dict[str, Any]:
    """What a plain training loop has."""
    torch.manual_seed(0)
    model = _net(0)
    return {
        "torch": torch,
        "model": model,
        "epochs": 2,
        "loader": [(torch.rand(4, 3, 16, 16), torch.randint(3, (4,))) for _ in range(3)],
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }


def a_trainer() -> dict[str, Any]:
    """A Trainer of transformers, sentences to measure, and the callback."""
    from tiny_text import make_project, sentences
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    from bequeath.training import TransformersCheckpoints

    make_project(Path())
    texts, labels = zip(*sentences(4, 0), strict=True)
    model = AutoModelForSequenceClassification.from_pretrained("encoder", num_labels=2)
    arguments = TrainingArguments("trainer", report_to="none", save_strategy="no")
    return {
        "bq": bq,
        "TransformersCheckpoints": TransformersCheckpoints,
        "tokenizer": AutoTokenizer.from_pretrained("encoder"),
        "sentences": list(texts),
        "labels": list(labels),
        "trainer": Trainer(model, arguments),
    }
