"""A callback that saves checkpoints of a model that transformers' Trainer trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from bequeath.training.checkpoints import Checkpoints


class TransformersCheckpoints(TrainerCallback):
    """Saves log-spaced checkpoints of a model that transformers' Trainer trains.

    The model's configuration and its tokenizer are saved as well, so the folder is a complete model of a study file:
    ``finetuned: runs/ft``. A run that resumes from a checkpoint of the Trainer's own continues here as well.

    Parameters
    ----------
    folder, **kwargs
        As for `Checkpoints`. The seed is the Trainer's, unless another is given. Live measures go to the Trainer's
        logs (TensorBoard, W&B, ...) if the callback is added by `attach`.

    Raises
    ------
    BequeathError
        As `Checkpoints` does; on training's begin, as `Checkpoints.begin` does.

    Examples
    --------
    >>> TransformersCheckpoints("runs/ft", count=12).attach(trainer)
    >>> trainer.train()
    """

    def __init__(self, folder: str | Path, **kwargs: Any) -> None:
        self.checkpoints = Checkpoints(folder, **kwargs)

    def attach(self, trainer: Any) -> TransformersCheckpoints:
        """Add the callback to a Trainer, and send live measures to its logs.

        Parameters
        ----------
        trainer : transformers.Trainer

        Returns
        -------
        TransformersCheckpoints
            The callback itself.
        """
        trainer.add_callback(self)
        if self.checkpoints.log is None:
            self.checkpoints.log = lambda measured, step: trainer.log(dict(measured))
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start saving, in a new or a resumed run."""
        if not state.is_world_process_zero:
            return
        checkpoints = self.checkpoints
        if checkpoints.seed is None:
            checkpoints.seed = args.seed
        self._describe(kwargs["model"], kwargs.get("processing_class"))
        updates = max(1, -(-len(kwargs["train_dataloader"]) // args.gradient_accumulation_steps))
        checkpoints.begin(
            kwargs["model"], state.max_steps, epochs=state.max_steps / updates, at=state.global_step
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save if a checkpoint is due."""
        if state.is_world_process_zero and self.checkpoints.due(state.global_step):
            self.checkpoints.after(kwargs["model"], state.global_step, _latest(state.log_history))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for our checkpoints: the state that the Trainer resumes from must not be ahead of them."""
        self.checkpoints.wait()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the last step, even if training ended early."""
        if state.is_world_process_zero:
            self.checkpoints.end(kwargs["model"], state.global_step, _latest(state.log_history))

    def _describe(self, model: Any, tokenizer: Any) -> None:
        """Take architecture, base and tokenizer from the model, unless they were given."""
        checkpoints = self.checkpoints
        adapted = hasattr(model, "peft_config")
        plain = model.get_base_model() if adapted else model
        config: Any = getattr(plain, "config", None)
        if hasattr(config, "save_pretrained"):
            checkpoints.folder.mkdir(parents=True, exist_ok=True)
            config.save_pretrained(checkpoints.folder)
            if hasattr(tokenizer, "save_pretrained"):
                tokenizer.save_pretrained(checkpoints.folder)
            source = (
                "transformers-causal-lm" if type(plain).__name__.endswith("ForCausalLM") else "transformers"
            )
            name = getattr(config, "_name_or_path", "")
            if adapted and checkpoints.base is None and name:
                # The base is a folder, or else a hub name; the architecture's name then leads to its weights.
                checkpoints.base = name if Path(name).is_dir() else "hub"
                if checkpoints.base == "hub" and checkpoints.architecture is None:
                    checkpoints.architecture = f"{source}:{name}"
            if checkpoints.architecture is None:
                checkpoints.architecture = f"{source}:."


def _latest(entries: list[dict[str, Any]]) -> dict[str, float]:
    """The latest number under each name of a training log."""
    latest: dict[str, float] = {}
    for entry in entries:
        latest |= {key: float(value) for key, value in entry.items() if isinstance(value, (int, float))}
    return {key: value for key, value in latest.items() if key not in ("step", "epoch")}
