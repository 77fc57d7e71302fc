"""Trains classifiers of texts with transformers' Trainer, for a fixed number of steps."""

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
    """Train `model` in place, on a GPU if there is one, and save checkpoints during training.

    The state of a run is saved after each tenth of its steps. An interrupted run resumes from the last one.

    Parameters
    ----------
    model : nn.Module
        A text classifier of transformers, or such a classifier with a PEFT adapter.
    data : Dataset
        Texts to train on.
    tokenizer
        transformers' tokenizer of the model.
    schedule : Schedule
        Steps, learning rate, batch size and checkpoints.
    folder : Path
        Gets the checkpoints, and a folder ``unfinished`` until the run is finished.
    seed : int
        Decides the order of samples and the random numbers of the model.
    prompt : str
        The model reads this text, with the sample's text in place of ``{}``.
    progress : callable
        Called with the number of steps done since the last call.
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
    last_state = _last_complete(unfinished)
    with warnings.catch_warnings(), quiet_transformers():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=last_state)
    model.cpu()
    discard(unfinished)


def _last_complete(unfinished: Path) -> str | None:
    """The last state to resume from. A folder without trainer_state.json, which is written last, is incomplete."""
    for folder in unfinished.glob("checkpoint-*"):
        try:
            int(json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
        except (OSError, ValueError, KeyError, TypeError):
            remove(folder)
    if not unfinished.is_dir():
        return None
    last: str | None = get_last_checkpoint(str(unfinished))  # type: ignore[no-untyped-call]
    return last


class _Ticks(TrainerCallback):
    def __init__(self, tick: Callable[[int], None]) -> None:
        self.tick = tick

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tick(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tick(1)
