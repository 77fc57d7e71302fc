"""A callback that saves checkpoints of a model that Lightning trains."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning
from torch import nn

from bequeath.training.checkpoints import Checkpoints


class LightningCheckpoints(lightning.Callback):
    """Saves log-spaced checkpoints of a classifier that Lightning trains.

    The folder is then a model of a study file: ``finetuned: runs/ft``. A run that resumes from a checkpoint of
    Lightning's own continues here as well.

    Parameters
    ----------
    folder, **kwargs
        As for `Checkpoints`. If `architecture` is not given, the study file must name it. By default live measures go
        to the loggers of Lightning's Trainer.
    module : str, optional
        Name of the classifier in the LightningModule, such as ``"model"``; by default the LightningModule itself.

    Raises
    ------
    BequeathError
        As `Checkpoints` does; on training's begin, as `Checkpoints.begin` does.

    Examples
    --------
    >>> keep = LightningCheckpoints("runs/ft", module="model", architecture="torchvision:resnet18")
    >>> lightning.Trainer(max_epochs=10, callbacks=[keep]).fit(classifier, loader)
    """

    def __init__(self, folder: str | Path, *, module: str | None = None, **kwargs: Any) -> None:
        self.checkpoints = Checkpoints(folder, **kwargs)
        self._module = module

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start saving, in a new or a resumed run."""
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
        """Save if a checkpoint is due. A batch that only accumulates gradients is no step."""
        if trainer.is_global_zero and self.checkpoints.due(trainer.global_step):
            self.checkpoints.after(self._model(pl_module), trainer.global_step, _numbers(trainer))

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        """Wait for our checkpoints: the state that Lightning resumes from must not be ahead of them."""
        self.checkpoints.wait()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Wait until our checkpoints are complete, because training fails here and may be resumed."""
        self.checkpoints.wait()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Save the last step, even if training ended early."""
        if trainer.is_global_zero:
            self.checkpoints.end(self._model(pl_module), trainer.global_step, _numbers(trainer))

    def _model(self, pl_module: Any) -> nn.Module:
        model: nn.Module = pl_module if self._module is None else pl_module.get_submodule(self._module)
        return model


def _numbers(trainer: Any) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
