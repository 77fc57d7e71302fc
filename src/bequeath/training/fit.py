"""Classifiers of images and rows, trained by Lightning for a fixed number of steps."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from bequeath.data.samples import Dataset, balanced
from bequeath.files import discard
from bequeath.games.inputs import logits
from bequeath.training.in_lightning import LightningCheckpoints
from bequeath.training.parts import keep_frozen
from bequeath.training.schedule import UNFINISHED, Schedule

# Batches on which BatchNorm statistics are taken again for each checkpoint.
_BATCH_NORM_BATCHES = 4
# Larger data are read again in each epoch.
_IN_MEMORY = 2**31


def fit(
    model: nn.Module,
    data: Dataset,
    schedule: Schedule,
    folder: Path,
    seed: int,
    progress: Callable[[int], None] = lambda steps: None,
    **kept: Any,
) -> None:
    """Train `model` in place, on the GPU where there is one, and save checkpoints along the way.

    A run that broke off goes on from where it was, on the same samples in the same order, to the same weights.

    Parameters
    ----------
    model : nn.Module
        Images (batch, channels, height, width) or rows (batch, columns) -> logits; one logit for two classes will do.
    data : Dataset
        Samples to train on.
    folder : Path
        Gets ``step-000123.safetensors`` files, and for as long as the run is not finished a folder ``unfinished``.
    seed : int
        Of the order of samples and of what is random in the model.
    progress : callable
        Called with the number of steps just done.
    **kept
        For `Checkpoints`: architecture, options, base.
    """
    samples = _Samples(data)
    size = min(schedule.batch_size, len(samples))
    model.train()
    keep_frozen(model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = schedule.batch_norm_momentum
    if samples[0][0].ndim == 3:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = balanced(data, min(len(data), _BATCH_NORM_BATCHES * size), seed)
    # Classes take turns: one class's statistics would not do.
    turns = by_turns([data.labels[i] for i in some])
    mixed = torch.stack([samples[some[i]][0] for i in turns])
    unfinished = folder / UNFINISHED
    last = unfinished / "last.ckpt"
    own = ModelCheckpoint(
        unfinished, "last", every_n_train_steps=schedule.keep_every, enable_version_counter=False
    )
    keep = LightningCheckpoints(
        folder,
        module="model",
        count=schedule.checkpoints,
        first=schedule.first_checkpoint,
        seed=seed,
        batch_norm=mixed.split(size),  # type: ignore[no-untyped-call]
        overwrite=True,
        **kept,
    )
    begun = 0
    if last.exists():
        begun = int(torch.load(last, map_location="cpu", weights_only=True)["global_step"])
        progress(begun)
    loader = DataLoader(samples, batch_sampler=_Order(len(samples), size, schedule.steps, begun, seed))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Lightning's advice on workers and loggers is not for so small a loop.
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[keep, own, _Ticks(progress)],
        )
        classifier = _Classifier(model, schedule, seed)
        with _interrupts_kept():
            trainer.fit(classifier, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    model.cpu()
    discard(unfinished)


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Lightning makes an interrupt its own end of the process, and ignores further ones: here it stays one."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


class _Classifier(lightning.LightningModule):
    def __init__(self, model: nn.Module, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.model = model
        self.schedule = schedule
        self.seed = seed

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, labels = batch
        # What is random in a step depends on the step alone: a run that goes on meets the same.
        torch.manual_seed(_mixed(self.seed, self.global_step))
        x = augmented(x, self.schedule.augment)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        out = logits(self.model, x)
        if out.shape[1] == 1:
            loss = nn.functional.binary_cross_entropy_with_logits(out[:, 0], labels.to(out.dtype))
        else:
            loss = nn.functional.cross_entropy(out, labels)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer, scheduler = self.schedule.make(self.model)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class _Ticks(lightning.Callback):
    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick = tick

    def on_train_batch_end(self, *_: Any) -> None:
        self.tick(1)


def augmented(x: Tensor, how: str) -> Tensor:
    """Images (batch, channels, height, width) mirrored, or mirrored and shifted, at random; rows as they are."""
    if how == "none" or x.ndim != 4:
        return x
    mirrored = torch.rand(len(x)) < 0.5
    x = torch.where(mirrored[:, None, None, None].to(x.device), x.flip(3), x)
    if how == "flip":
        return x
    height, width = x.shape[2:]
    most = height // 8, width // 8
    padded = nn.functional.pad(x, (most[1], most[1], most[0], most[0]), mode="reflect")
    down, right = (torch.randint(0, 2 * m + 1, (len(x),)).tolist() for m in most)
    return torch.stack(
        [one[:, i : i + height, j : j + width] for one, i, j in zip(padded, down, right, strict=True)]
    )


def by_turns(labels: Sequence[int]) -> list[int]:
    """An order of the samples in which the classes take turns."""
    seen: dict[int, int] = {}
    turns = []
    for label in labels:
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    order: list[int] = torch.tensor(turns).argsort(stable=True).tolist()
    return order


class _Samples(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Inputs and labels; kept in memory once read, where there is room for all."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        first = data[0].x
        assert isinstance(first, Tensor)
        self._kept: dict[int, Tensor] | None = {} if first.nbytes * len(data) <= _IN_MEMORY else None

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        if self._kept is not None and i in self._kept:
            return self._kept[i], self._data.labels[i]
        x = self._data[i].x
        assert isinstance(x, Tensor)
        if self._kept is not None:
            self._kept[i] = x
        return x, self._data.labels[i]


class _Order(Sampler[list[int]]):
    """Batches of a whole run, epoch after epoch in an order of its own, from any step on."""

    def __init__(self, count: int, size: int, steps: int, begun: int, seed: int) -> None:
        self.count, self.size, self.steps, self.begun, self.seed = count, size, steps, begun, seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        each = self.count // self.size
        order: Tensor | None = None
        for step in range(self.begun, self.steps):
            epoch, place = divmod(step, each)
            if order is None or place == 0:
                generator = torch.Generator().manual_seed(_mixed(self.seed, epoch))
                order = torch.randperm(self.count, generator=generator)
            yield order[place * self.size : (place + 1) * self.size].tolist()


def _mixed(seed: int, number: int) -> int:
    """A seed of its own for each number; torch's generators spread neighbouring ones out."""
    return (seed * 1_000_003 + number) % 2**31
