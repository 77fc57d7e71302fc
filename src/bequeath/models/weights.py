"""Weights from local files into a model, with clear reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, Kind, logits
from bequeath.models.architectures import SOURCES, build
from bequeath.models.heads import find_head
from bequeath.models.state_files import read_state

# DataParallel and DDP; Lightning modules; torch.compile.
PREFIXES = ("module.", "model.", "_orig_mod.")
# Old files lack the first and carry the second; neither changes what a model in eval mode gives.
INCIDENTAL = ("num_batches_tracked", "position_ids")


def load_model(
    architecture: str, weights: str | Path | None, num_classes: int, kind: Kind, **kwargs: Any
) -> nn.Module:
    """Build a classifier and load its weights.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`, to which `kwargs` go too.
    weights : str, Path or None
        As for `load_weights`. None is for a ``module:function`` that loads weights itself.
    num_classes : int
        Number of classes of the data.
    kind : "image" or "text"
        What it classifies.

    Returns
    -------
    nn.Module
        In eval mode, on the CPU.

    Raises
    ------
    BequeathError
        As `build` and `load_weights` do, or if no weights are given where the architecture brings none.
    """
    if weights is None and architecture.partition(":")[0] in SOURCES:
        raise BequeathError(
            f"weights of {architecture}: none given, it would be a random start; give a .safetensors or .pt "
            "file"
        )
    model = build(architecture, num_classes, kind, **kwargs)
    if weights is not None:
        load_weights(model, weights)
    return model.cpu().eval()


def load_weights(
    model: nn.Module, path: str | Path, *, strict: bool = True, skip: Sequence[str] = ()
) -> nn.Module:
    """Load a local state file into a model, in place.

    The usual wrappings are taken off: a state dict within a training checkpoint, and prefixes that data
    parallelism, Lightning or `torch.compile` put before the names. A transformers backbone saved without its
    prefix finds its place in the classifier.

    Parameters
    ----------
    model : nn.Module
        Gets the values, in its own dtype and on its own device.
    path : str or Path
        As for `read_state`.
    strict : bool
        Whether missing and unexpected names are errors. Wrong shapes, and a file of which nothing fits,
        always are.
    skip : sequence of str
        Submodules, such as a head that is to be replaced, that keep what they have.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    BequeathError
        If the file cannot be read or does not fit; names, numbers and shapes are told.
    """
    path = Path(path)
    skipped = tuple(f"{name}." for name in skip)
    target = {name: value for name, value in model.state_dict().items() if not name.startswith(skipped)}
    state = _rename(read_state(path), set(model.state_dict()), getattr(model, "base_model_prefix", ""))
    state = {name: value for name, value in state.items() if not name.startswith(skipped)}
    fitting = {name: value for name, value in state.items() if name in target}
    if not fitting:
        raise BequeathError(
            f"weights {path}: none of its {len(state)} names fits {type(model).__name__} (there: "
            f"{_few(list(state), 3)}; needed: {_few(list(target), 3)}); check the architecture"
        )
    _check_shapes(path, fitting, model)
    # Tensors that share memory are saved under one of their names only.
    loaded = {target[name].data_ptr() for name in fitting}
    missing = [
        name
        for name, value in target.items()
        if name not in fitting and not name.endswith(INCIDENTAL) and value.data_ptr() not in loaded
    ]
    unexpected = [name for name in state if name not in target and not name.endswith(INCIDENTAL)]
    if strict and (missing or unexpected):
        parts = [
            f"{len(names)} {what} ({_few(names, 3)})"
            for names, what in ((missing, "missing from the file"), (unexpected, "not in the model"))
            if names
        ]
        raise BequeathError(
            f"weights {path}: names do not fit {type(model).__name__}: {'; '.join(parts)}; check the "
            "architecture"
        )
    model.load_state_dict(fitting, strict=False)
    return model


def _rename(state: dict[str, Tensor], wanted: set[str], base_prefix: str) -> dict[str, Tensor]:
    """Names as the model has them; one that fits already is never changed, one that never fits is kept."""
    renamed = {name: value for name, value in state.items() if name in wanted}
    for name, value in state.items():
        if name in wanted:
            continue
        bare = name
        while bare not in wanted and bare.startswith(PREFIXES):
            bare = bare[len(next(prefix for prefix in PREFIXES if bare.startswith(prefix))) :]
        if bare not in wanted and base_prefix:
            bare = f"{base_prefix}.{bare}"
        renamed[bare if bare in wanted and bare not in renamed else name] = value
    return renamed


def _check_shapes(path: Path, fitting: dict[str, Tensor], model: nn.Module) -> None:
    target = model.state_dict()
    wrong = {
        name: (tuple(value.shape), tuple(target[name].shape))
        for name, value in fitting.items()
        if value.shape != target[name].shape
    }
    if not wrong:
        return
    head = find_head(model) if any(isinstance(module, nn.Linear) for module in model.modules()) else None
    if all(
        name.rpartition(".")[0] == head and saved[1:] == needed[1:] for name, (saved, needed) in wrong.items()
    ):
        name, (saved, needed) = next(iter(wrong.items()))
        raise BequeathError(
            f"weights {path}: the saved model has {saved[0]} outputs ({name}), the labels need {needed[0]}; "
            "give weights trained on these classes, or use it as a backbone whose head a probe replaces"
        )
    shown = ", ".join(f"{name} {saved} for {needed}" for name, (saved, needed) in list(wrong.items())[:3])
    raise BequeathError(
        f"weights {path}: {len(wrong)} shapes differ from the model's "
        f"({shown}{', ...' if len(wrong) > 3 else ''}); check the architecture and its arguments"
    )


def num_outputs(model: nn.Module, inputs: Inputs) -> int:
    """Number of logits that the model gives, found by calling it on a batch in eval mode."""
    return int(_eval_logits(model, inputs).shape[1])


def check_outputs(model: nn.Module, inputs: Inputs, num_classes: int, name: str) -> None:
    """Refuse a model whose outputs cannot belong to the labels, before any work is spent on it.

    Parameters
    ----------
    model : nn.Module
        Called once, in eval mode.
    inputs : Tensor or mapping of str to Tensor
        A small batch of real inputs.
    num_classes : int
        Number of classes of the data.
    name : str
        The model's name in errors.

    Raises
    ------
    BequeathError
        If the number of outputs differs from `num_classes`, or an output is NaN or infinite.
    """
    output = _eval_logits(model, inputs)
    if output.shape[1] != num_classes:
        raise BequeathError(
            f"model {name}: {output.shape[1]} outputs, but the data have {num_classes} classes; give a model "
            "trained on these classes, or the data's classes in the model's order"
        )
    bad = ~torch.isfinite(output).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise BequeathError(
            f"model {name}: output {output[row].tolist()[:5]} on input {row} is not finite; check weights "
            "and inputs"
        )


def _eval_logits(model: nn.Module, inputs: Inputs) -> Tensor:
    # One by one: frozen parts of a model that is being trained are in eval mode already and stay so.
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            return logits(model, inputs)
    finally:
        for module, training in modes:
            module.training = training


def _few(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
