"""Checkpoints at log-spaced steps of a training run, in a folder that a study file can name as a model."""

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
    """At most `count` different steps from `first` to `last`, evenly spaced on a logarithmic scale.

    Raises
    ------
    BequeathError
        Unless 1 <= first <= last and count >= 1.

    Examples
    --------
    >>> log_spaced(1, 1000, 4)
    [1, 10, 100, 1000]
    """
    if not 1 <= first <= last or count < 1:
        raise BequeathError(
            f"log_spaced: needs 1 <= first <= last and count >= 1, not {first}, {last}, {count}"
        )
    return sorted({round(step) for step in np.geomspace(first, last, count)} | {last})


class Checkpoints:
    """Saves a model during its training: densely at early steps, when knowledge changes fast, and sparsely later.

    A checkpoint is a file ``step-000123.safetensors`` with step, seed, epoch and metrics in its metadata. Of a PEFT
    model it is a folder ``step-000123`` that holds the adapter only. Checkpoints are written in the background, each
    complete or not at all. Training waits only for the copy of the weights, and for the previous checkpoint if that is
    still being written. ``series.json`` records the architecture, so a study file can name the folder:
    ``finetuned: runs/ft``.

    Parameters
    ----------
    folder : str or Path
        Where checkpoints are written. It is created if needed.
    count : int
        The largest number of checkpoints.
    first : int
        The first step, or epoch, to save. 0 saves the model before training as well, and continues from 1.
    by : {"step", "epoch"}
        Whether optimizer steps or whole epochs are evenly spaced on the logarithmic scale.
    architecture : str, optional
        As study files name it (docs/models.md), such as ``torchvision:resnet18`` or ``my_models:build``. If it is not
        given, the study file must name it.
    options : dict, optional
        Keyword arguments of the architecture.
    base : str or Path, optional
        Weights of the base model, if an adapter is trained. The Trainer's callback finds them by itself.
    seed : int, optional
        The run's seed, which is recorded.
    batch_norm : sequence of Tensor, optional
        Batches of training inputs, each (batch, ...). Before a checkpoint is saved, a copy of the model takes its
        BatchNorm statistics anew on them: running averages lag behind the weights in a run's first steps.
    live : Live, optional
        Measures the interactions of a few samples at each checkpoint.
    log : callable, optional
        Called with the live measures, a dict with keys ``bequeath/...``, and the step.
    overwrite : bool
        Whether a new run may replace checkpoints that are already in the folder.

    Raises
    ------
    BequeathError
        If `by`, `count` or `first` is out of range.

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
        """Start saving: call this when training begins or resumes.

        Parameters
        ----------
        model : nn.Module
            The model that `after` will get.
        last : int
            Optimizer steps of the whole run.
        epochs : float, optional
            Epochs of the whole run; needed for ``by="epoch"``.
        at : int
            Steps already done, if the run resumes from a checkpoint of the training library. Later checkpoints in the
            folder are removed, because the resumed run replaces them.

        Raises
        ------
        BequeathError
            If the folder holds checkpoints of another run, `first` lies beyond the run's end, epochs are missing, or
            the base of an adapter is not known.
        """
        if self._by == "epoch" and not epochs:
            raise BequeathError('epochs: needed for by="epoch"; give the epochs of the whole run')
        self.wait()  # an interrupted run in this process may still be writing
        self._last, self._epochs = last, epochs or 0.0
        planned = self.steps(last, epochs)
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder, "step-*")
        existing = {int(path.stem.removeprefix("step-")): path for path in series_files(self.folder)}
        if at == 0 and existing and not self._overwrite:
            raise BequeathError(
                f"{self.folder}: holds checkpoints of another run (step {min(existing)} to {max(existing)}); choose "
                "another folder, remove them, or give overwrite=True"
            )
        for step, path in existing.items():
            if step > at or at == 0:
                remove(path)
        (self.folder / SERIES).write_text(json.dumps(self._description(model), indent=1), encoding="utf-8")
        self._wanted = [step for step in planned if step > at or at == 0]
        self._saved = max((step for step in existing if 0 < step <= at), default=None)
        self.after(model, at)

    def steps(self, last: int, epochs: float | None = None) -> list[int]:
        """The steps that are saved in a run of `last` steps and `epochs` epochs, in increasing order.

        Examples
        --------
        >>> Checkpoints("runs/ft", count=4, first=0).steps(1000)
        [0, 1, 10, 100, 1000]
        """
        end = max(1, int(epochs or 1)) if self._by == "epoch" else last
        if not self._first <= end:
            raise BequeathError(
                f"first: {self._first}; the run has only {end} {self._by}s, so give a smaller one"
            )
        spaced = log_spaced(max(self._first, 1), end, self._count)
        if self._by == "epoch":
            assert epochs is not None
            spaced = [round(epoch * last / epochs) for epoch in spaced]
        return sorted({*spaced, last} | ({0} if self._first == 0 else set()))

    def due(self, step: int) -> bool:
        """Whether `after` would save at this step; ask it before computing costly metrics."""
        return bool(self._wanted) and step >= self._wanted[0]

    def after(self, model: nn.Module, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Save the model if a checkpoint is due: call this after each optimizer step.

        Parameters
        ----------
        model : nn.Module
        step : int
            Optimizer steps done.
        metrics : mapping of str to float, optional
            Recorded in the checkpoint's metadata.

        Raises
        ------
        BequeathError
            If the weights are spread over processes.
        """
        if not self.due(step):
            return
        self._wanted = [later for later in self._wanted if later > step]
        self._save(model, step, metrics or {})

    def wait(self) -> None:
        """Wait until all checkpoints are on the disk."""
        self._writer.wait()

    def end(
        self,
        model: nn.Module | None = None,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Finish saving: call this when training has ended. Waits until all checkpoints are on the disk.

        Parameters
        ----------
        model, step : nn.Module, int, optional
            The model and the steps done. If they are given and the last step was not saved, because training ended
            early, it is saved now.
        metrics : mapping of str to float, optional
            Recorded in the checkpoint's metadata.
        """
        if model is not None and step and step != self._saved:
            self._wanted = []
            self._save(model, step, metrics or {})
        self.wait()

    def _save(self, model: nn.Module, step: int, metrics: Mapping[str, float]) -> None:
        model, recorded = unwrapped(model), dict(metrics)
        if self._live is not None:
            measured = {f"bequeath/{key}": value for key, value in self._live.measure(model).items()}
            recorded |= measured
            if self.log is not None:
                self.log(measured, step)
        if self._batch_norm is not None:
            model = with_fresh_batch_norm(model, self._batch_norm)
        metadata = {"step": str(step)}
        if self._epochs:
            metadata["epoch"] = f"{step * self._epochs / self._last:.6g}"
        if self.seed is not None:
            metadata["seed"] = str(self.seed)
        if recorded:
            metadata["metrics"] = json.dumps(recorded)
        self._writer.write(snapshot(model), self.folder / f"step-{step:06d}", metadata)
        self._saved = step

    def _description(self, model: nn.Module) -> dict[str, Any]:
        """The content of series.json."""
        base = self.base
        if base is None and hasattr(model, "peft_config"):
            raise BequeathError(
                f"{self.folder}: an adapter is trained, but its base is not known; give base=, a state file or folder"
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
