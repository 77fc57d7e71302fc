"""Trains classifiers of images and rows with Lightning, for a fixed number of steps."""

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

# Number of batches on which BatchNorm statistics are taken anew for each checkpoint.
_BATCH_NORM_BATCHES = 4
# In bytes: larger data are read again in each epoch.
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
    """Train `model` in place, on a GPU if there is one, and save checkpoints during training.

    An interrupted run resumes where it stopped, on the same samples in the same order, and ends with the same weights.

    Parameters
    ----------
    model : nn.Module
        Images (batch, channels, height, width) or rows (batch, columns) -> logits. For two classes, one logit is
        enough.
    data : Dataset
        Samples to train on.
    schedule : Schedule
        Steps, learning rate, batch size and checkpoints.
    folder : Path
        Gets ``step-000123.safetensors`` files, and a folder ``unfinished`` until the run is finished.
    seed : int
        Decides the order of samples and the random numbers of the model.
    progress : callable
        Called with the number of steps done since the last call.
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
    chosen = balanced(data, min(len(data), _BATCH_NORM_BATCHES * size), seed)
    # Classes take turns, because a batch of one class would give wrong statistics.
    turns = by_turns([data.labels[i] for i in chosen])
    mixed = torch.stack([samples[chosen[i]][0] for i in turns])
    unfinished = folder / UNFINISHED
    last = unfinished / "last.ckpt"
    resumable = ModelCheckpoint(
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
    done = 0
    if last.exists():
        done = int(torch.load(last, map_location="cpu", weights_only=True)["global_step"])
        progress(done)
    loader = DataLoader(samples, batch_sampler=_Order(len(samples), size, schedule.steps, done, seed))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Lightning's advice on workers and loggers does not apply to so small a loop.
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_steps=schedule.steps,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[keep, resumable, _Ticks(progress)],
        )
        classifier = _Classifier(model, schedule, seed)
        with _interrupts_kept():
            trainer.fit(classifier, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    model.cpu()
    discard(unfinished)


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Keep an interrupt a KeyboardInterrupt: Lightning would end the process, and ignore further interrupts."""
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
        # The random numbers of a step depend on the step alone, so a resumed run gets the same ones.
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
    """Augment a batch at random.

    Parameters
    ----------
    x : Tensor
        Images (batch, channels, height, width), or rows (batch, columns), which stay as they are.
    how : {"none", "flip", "crop"}
        "flip" mirrors half of the images; "crop" also shifts each by up to an eighth of its size.

    Returns
    -------
    Tensor
        Of the same shape.
    """
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
        [image[:, i : i + height, j : j + width] for image, i, j in zip(padded, down, right, strict=True)]
    )


def by_turns(labels: Sequence[int]) -> list[int]:
    """An order of the samples in which the classes take turns.

    Examples
    --------
    >>> by_turns([0, 0, 0, 1, 1])
    [0, 3, 1, 4, 2]
    """
    count: dict[int, int] = {}
    turns = []
    for label in labels:
        turns.append(count.get(label, 0))
        count[label] = turns[-1] + 1
    order: list[int] = torch.tensor(turns).argsort(stable=True).tolist()
    return order


class _Samples(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Inputs and labels. Samples that were read stay in memory, if all of them fit."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        first = data[0].x
        assert isinstance(first, Tensor)
        self._cache: dict[int, Tensor] | None = {} if first.nbytes * len(data) <= _IN_MEMORY else None

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        if self._cache is not None and i in self._cache:
            return self._cache[i], self._data.labels[i]
        x = self._data[i].x
        assert isinstance(x, Tensor)
        if self._cache is not None:
            self._cache[i] = x
        return x, self._data.labels[i]


class _Order(Sampler[list[int]]):
    """Batches of a whole run, each epoch in its own random order, starting after the steps that are done."""

    def __init__(self, count: int, size: int, steps: int, done: int, seed: int) -> None:
        self.count, self.size, self.steps, self.done, self.seed = count, size, steps, done, seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        batches_per_epoch = self.count // self.size
        order: Tensor | None = None
        for step in range(self.done, self.steps):
            epoch, batch = divmod(step, batches_per_epoch)
            if order is None or batch == 0:
                generator = torch.Generator().manual_seed(_mixed(self.seed, epoch))
                order = torch.randperm(self.count, generator=generator)
            yield order[batch * self.size : (batch + 1) * self.size].tolist()


def _mixed(seed: int, number: int) -> int:
    """A separate seed for each number. Neighbouring seeds are enough, because torch's generators mix them well."""
    return (seed * 1_000_003 + number) % 2**31
