"""A callback for transformers' Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from bequeath.training.checkpoints import Checkpoints


class TransformersCheckpoints(TrainerCallback):
    """Saves log-spaced checkpoints of a Trainer's model into a folder that a study file can name.

    The model's configuration and the tokenizer are saved beside, so nothing else is needed: ``finetuned: runs/ft``. A
    run that goes on from one of the Trainer's own checkpoints goes on here as well.

    Parameters
    ----------
    folder, **kwargs
        As of `Checkpoints`. The seed is the Trainer's unless given; live measures go to the Trainer's logs
        (TensorBoard, W&B, ...) if the callback is added by `attach`.

    Examples
    --------
    >>> TransformersCheckpoints("runs/ft", count=12).attach(trainer)
    >>> trainer.train()
    """

    def __init__(self, folder: str | Path, **kwargs: Any) -> None:
        self.checkpoints = Checkpoints(folder, **kwargs)

    def attach(self, trainer: Any) -> TransformersCheckpoints:
        """Add the callback to a Trainer, and send live measures to its logs."""
        trainer.add_callback(self)
        if self.checkpoints.log is None:
            self.checkpoints.log = lambda measured, step: trainer.log(dict(measured))
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin, or go on."""
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
        """Save if it is time."""
        if state.is_world_process_zero and self.checkpoints.due(state.global_step):
            self.checkpoints.after(kwargs["model"], state.global_step, _latest(state.log_history))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the Trainer will go on from must not be ahead of what is on the disk here."""
        self.checkpoints.wait()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the end, also where it came early."""
        if state.is_world_process_zero:
            self.checkpoints.end(kwargs["model"], state.global_step, _latest(state.log_history))

    def _describe(self, model: Any, tokenizer: Any) -> None:
        """Architecture, base and tokenizer, as far as they were not given and the model tells them."""
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
                # A folder, or a name on the hub, whose weights are then found by the architecture's name.
                checkpoints.base = name if Path(name).is_dir() else "hub"
                if checkpoints.base == "hub" and checkpoints.architecture is None:
                    checkpoints.architecture = f"{source}:{name}"
            if checkpoints.architecture is None:
                checkpoints.architecture = f"{source}:."


def _latest(entries: list[dict[str, Any]]) -> dict[str, float]:
    """The numbers of a training log, the newest of each name."""
    found: dict[str, float] = {}
    for entry in entries:
        found |= {key: float(value) for key, value in entry.items() if isinstance(value, (int, float))}
    return {key: value for key, value in found.items() if key not in ("step", "epoch")}
