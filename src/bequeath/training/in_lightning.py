"""A callback for Lightning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning
from torch import nn

from bequeath.training.checkpoints import Checkpoints


class LightningCheckpoints(lightning.Callback):
    """Saves log-spaced checkpoints of a classifier that Lightning trains into a folder that a study file can name.

    Parameters
    ----------
    folder, **kwargs
        As of `Checkpoints`; give `architecture`, or the study file must. Live measures go to the Trainer's loggers.
    module : str, optional
        Name of the classifier within the LightningModule, such as ``"model"``; by default the LightningModule itself.

    Examples
    --------
    >>> keep = LightningCheckpoints("runs/ft", module="model", architecture="torchvision:resnet18")
    >>> lightning.Trainer(max_epochs=10, callbacks=[keep]).fit(classifier, loader)
    """

    def __init__(self, folder: str | Path, *, module: str | None = None, **kwargs: Any) -> None:
        self.checkpoints = Checkpoints(folder, **kwargs)
        self._module = module

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin, or go on."""
        if not trainer.is_global_zero:
            return
        if self.checkpoints.log is None and trainer.loggers:
            self.checkpoints.log = lambda measured, step: [
                logger.log_metrics(measured, step) for logger in trainer.loggers
            ]
        last = int(trainer.estimated_stepping_batches)
        updates = max(1, math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))
        self.checkpoints.begin(self._model(pl_module), last, epochs=last / updates, at=trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Save if it is time; batches that only add to a gradient are no steps."""
        if trainer.is_global_zero and self.checkpoints.due(trainer.global_step):
            self.checkpoints.after(self._model(pl_module), trainer.global_step, _numbers(trainer))

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        """What Lightning will go on from must not be ahead of what is on the disk here."""
        self.checkpoints.wait()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Of a run that breaks off, what was saved is whole on the disk before anyone looks, or goes on."""
        self.checkpoints.wait()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Save the end, also where it came early."""
        if trainer.is_global_zero:
            self.checkpoints.end(self._model(pl_module), trainer.global_step, _numbers(trainer))

    def _model(self, pl_module: Any) -> nn.Module:
        found: nn.Module = pl_module if self._module is None else pl_module.get_submodule(self._module)
        return found


def _numbers(trainer: Any) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
