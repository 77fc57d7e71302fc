"""Checkpoints at log-spaced steps of any training run: a folder that a study file can name as a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.files import remove, sweep
from bequeath.models.series import SERIES, SERIES_FORMAT, series_files
from bequeath.training.batch_norm import with_fresh_batch_norm
from bequeath.training.live import Live
from bequeath.training.snapshots import Writer, snapshot, unwrapped


def log_spaced(first: int, last: int, count: int) -> list[int]:
    """At most `count` different steps from `first` to `last`, evenly spaced in their logarithm."""
    if not 1 <= first <= last or count < 1:
        raise BequeathError(
            f"log_spaced: needs 1 <= first <= last and count >= 1, not {first}, {last}, {count}"
        )
    return sorted({round(step) for step in np.geomspace(first, last, count)} | {last})


class Checkpoints:
    """Saves a model along its training: early steps densely, late ones sparsely, as knowledge changes.

    Files are ``step-000123.safetensors`` with step, seed, epoch and metrics in their metadata, or, of a PEFT model,
    folders ``step-000123`` with the adapter alone. They are written in the background, whole or not at all; training
    waits only for the copy of the weights, and for a checkpoint before that is still being written. ``series.json``
    says what they belong to, so that a study file can name the folder: ``finetuned: runs/ft``.

    Parameters
    ----------
    folder : str or Path
        Where to; made if need be.
    count : int
        Checkpoints at most.
    first : int
        The first step, or epoch, to be saved; 0 saves the start as well, and goes on from 1.
    by : {"step", "epoch"}
        What is evenly spaced in its logarithm: optimizer steps, or whole epochs.
    architecture : str, optional
        As study files name it (docs/models.md), such as ``torchvision:resnet18`` or ``my_models:build``. Without it the
        study file must say it.
    options : dict, optional
        Keyword arguments of the architecture.
    base : str or Path, optional
        Weights of the base, where an adapter is trained; that which PEFT names by default.
    seed : int, optional
        Of the run; recorded.
    batch_norm : sequence of Tensor, optional
        Batches on which a copy's BatchNorm statistics are taken anew for each checkpoint: running averages lag behind
        the weights in a run's first steps.
    live : Live, optional
        Measures a few samples' interactions at each checkpoint.
    log : callable, optional
        Called with the live measures, named ``bequeath/...``, and the step.
    overwrite : bool
        Whether a new run may replace the checkpoints that lie in the folder.

    Examples
    --------
    >>> checkpoints = Checkpoints("runs/scratch", architecture="my_models:build", seed=0)
    >>> checkpoints.begin(model, last=epochs * len(loader))
    >>> for step, batch in enumerate(batches, start=1):
    ...     loss = train_on(batch)
    ...     checkpoints.after(model, step, {"loss": loss})
    >>> checkpoints.end()
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        count: int = 20,
        first: int = 1,
        by: Literal["step", "epoch"] = "step",
        architecture: str | None = None,
        options: dict[str, Any] | None = None,
        base: str | Path | None = None,
        seed: int | None = None,
        batch_norm: Iterable[Tensor] | None = None,
        live: Live | None = None,
        log: Callable[[dict[str, float], int], object] | None = None,
        overwrite: bool = False,
    ) -> None:
        if by not in ("step", "epoch"):
            raise BequeathError(f'by: "step" or "epoch", not {by!r}')
        if count < 1 or first < 0:
            raise BequeathError(f"count, first: needs count >= 1 and first >= 0, not {count}, {first}")
        self.folder = Path(folder)
        self.architecture, self.options, self.base = architecture, options or {}, base
        self.seed, self.log = seed, log
        self._count, self._first, self._by = count, first, by
        self._batch_norm = None if batch_norm is None else list(batch_norm)
        self._live, self._overwrite = live, overwrite
        self._writer = Writer()
        self._wanted: list[int] = []
        self._saved: int | None = None
        self._last, self._epochs = 0, 0.0

    def begin(self, model: nn.Module, last: int, *, epochs: float | None = None, at: int = 0) -> None:
        """Say that training begins, or goes on.

        Parameters
        ----------
        model : nn.Module
            As `after` will get it.
        last : int
            Optimizer steps of the whole run.
        epochs : float, optional
            Epochs of the whole run; needed for ``by="epoch"``.
        at : int
            Steps done already, where a run goes on from a checkpoint of its own: checkpoints beyond it are of a course
            that is not gone on with, and are removed.

        Raises
        ------
        BequeathError
            If a new run would mix its checkpoints with another's, or there are no such steps.
        """
        if self._by == "epoch" and not epochs:
            raise BequeathError('epochs: needed for by="epoch"')
        self.wait()  # A run that broke off in this process may still be writing.
        self._last, self._epochs = last, epochs or 0.0
        every = self.steps(last, epochs)
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder, "step-*")
        there = {int(path.stem.removeprefix("step-")): path for path in series_files(self.folder)}
        if at == 0 and there and not self._overwrite:
            raise BequeathError(
                f"{self.folder}: holds checkpoints of another run (step {min(there)} to {max(there)}); choose another "
                "folder, remove them, or give overwrite=True"
            )
        for step, path in there.items():
            if step > at or at == 0:
                remove(path)
        (self.folder / SERIES).write_text(json.dumps(self._described(model), indent=1), encoding="utf-8")
        self._wanted = [step for step in every if step > at or at == 0]
        self._saved = max((step for step in there if 0 < step <= at), default=None)
        self.after(model, at)

    def steps(self, last: int, epochs: float | None = None) -> list[int]:
        """The steps to be saved of a run of so many."""
        end = max(1, int(epochs or 1)) if self._by == "epoch" else last
        if not self._first <= end:
            raise BequeathError(f"first: {self._first}; the run has {end} {self._by}s only")
        spaced = log_spaced(max(self._first, 1), end, self._count)
        if self._by == "epoch":
            assert epochs is not None
            spaced = [round(epoch * last / epochs) for epoch in spaced]
        return sorted({*spaced, last} | ({0} if self._first == 0 else set()))

    def due(self, step: int) -> bool:
        """Whether `after` would save: what is costly to tell of a step need not be found for the others."""
        return bool(self._wanted) and step >= self._wanted[0]

    def after(self, model: nn.Module, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Save the model if it is time: after each optimizer step, with the number of steps done."""
        if not self.due(step):
            return
        self._wanted = [later for later in self._wanted if later > step]
        self._save(model, step, metrics or {})

    def wait(self) -> None:
        """Until all that was saved is on the disk."""
        self._writer.wait()

    def end(
        self,
        model: nn.Module | None = None,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Training has ended: save its end, where it came early and `model` and `step` are given; wait for the disk."""
        if model is not None and step and step != self._saved:
            self._wanted = []
            self._save(model, step, metrics or {})
        self.wait()

    def _save(self, model: nn.Module, step: int, metrics: Mapping[str, float]) -> None:
        model, told = unwrapped(model), dict(metrics)
        if self._live is not None:
            measured = {f"bequeath/{key}": value for key, value in self._live.measure(model).items()}
            told |= measured
            if self.log is not None:
                self.log(measured, step)
        if self._batch_norm is not None:
            model = with_fresh_batch_norm(model, self._batch_norm)
        metadata = {"step": str(step)}
        if self._epochs:
            metadata["epoch"] = f"{step * self._epochs / self._last:.6g}"
        if self.seed is not None:
            metadata["seed"] = str(self.seed)
        if told:
            metadata["metrics"] = json.dumps(told)
        self._writer.write(snapshot(model), self.folder / f"step-{step:06d}", metadata)
        self._saved = step

    def _described(self, model: nn.Module) -> dict[str, Any]:
        base = self.base
        if base is None and hasattr(model, "peft_config"):
            raise BequeathError(
                f"{self.folder}: an adapter is trained, and nothing tells its base; give base=, a state file or folder"
            )
        if base is not None and Path(base).exists():
            base = Path(base).absolute()
        return {
            "format": SERIES_FORMAT,
            "architecture": self.architecture,
            "options": self.options,
            "base": None if base is None else str(base),
            "seed": self.seed,
            "steps": self._last,
        }
