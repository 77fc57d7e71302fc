"""Classifiers of texts, trained by transformers' Trainer for a fixed number of steps."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from bequeath.data.samples import Dataset
from bequeath.files import discard, remove
from bequeath.models.state_names import quiet_transformers
from bequeath.training.in_transformers import TransformersCheckpoints
from bequeath.training.schedule import UNFINISHED, Schedule

_OPTIMIZERS = {"adamw": "adamw_torch", "sgd": "sgd"}
_DECAYS = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def fit_text(
    model: nn.Module,
    data: Dataset,
    tokenizer: Any,
    schedule: Schedule,
    folder: Path,
    seed: int,
    prompt: str = "{}",
    progress: Callable[[int], None] = lambda steps: None,
    **kept: Any,
) -> None:
    """Train `model` in place, on the GPU where there is one, and save checkpoints along the way.

    A run that broke off goes on from the last tenth that was done.

    Parameters
    ----------
    model : nn.Module
        transformers' classifier of texts, or PEFT's adapter of one.
    data : Dataset
        Texts to train on; the model reads each within `prompt`, in the place of its ``{}``.
    folder : Path
        Gets the checkpoints, and for as long as the run is not finished a folder ``unfinished``.
    progress : callable
        Called with the number of steps just done.
    **kept
        For `TransformersCheckpoints`: architecture, options, base.
    """
    items = [
        {**tokenizer(prompt.replace("{}", str(data[i].x)), truncation=True), "label": data.labels[i]}
        for i in range(len(data))
    ]
    unfinished = folder / UNFINISHED
    arguments = TrainingArguments(
        str(unfinished),
        max_steps=schedule.steps,
        per_device_train_batch_size=min(schedule.batch_size, len(items)),
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        learning_rate=schedule.learning_rate,
        optim=_OPTIMIZERS[schedule.optimizer],
        lr_scheduler_type=_DECAYS[schedule.decay],
        warmup_steps=int(schedule.warm_up * schedule.steps),
        weight_decay=schedule.weight_decay,
        seed=seed,
        save_steps=schedule.keep_every,
        save_total_limit=1,
        logging_steps=schedule.keep_every,
        report_to="none",
        disable_tqdm=True,
    )
    model.train()
    trainer = Trainer(
        model, arguments, train_dataset=items, processing_class=tokenizer, callbacks=[_Ticks(progress)]
    )
    trainer.remove_callback(PrinterCallback)
    TransformersCheckpoints(
        folder, count=schedule.checkpoints, first=schedule.first_checkpoint, overwrite=True, **kept
    ).attach(trainer)
    there = _last_whole(unfinished)
    with warnings.catch_warnings(), quiet_transformers():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=there)
    model.cpu()
    discard(unfinished)


def _last_whole(unfinished: Path) -> str | None:
    """The last state to go on from. The Trainer writes its own state last: a folder without it was cut off."""
    for folder in unfinished.glob("checkpoint-*"):
        try:
            int(json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
        except (OSError, ValueError, KeyError, TypeError):
            remove(folder)
    found: str | None = get_last_checkpoint(str(unfinished)) if unfinished.is_dir() else None  # type: ignore[no-untyped-call]
    return found


class _Ticks(TrainerCallback):
    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick = tick

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tick(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tick(1)
