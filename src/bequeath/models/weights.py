"""Loads weights from local files and hubs into a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError, BequeathWarning, few
from bequeath.games.inputs import Modality, in_eval_mode
from bequeath.models.architectures import SOURCES, build
from bequeath.models.heads import find_heads
from bequeath.models.hub import hub_entry, hub_options, hub_state
from bequeath.models.state_files import read_state
from bequeath.models.state_fit import fit_state
from bequeath.models.state_names import INCIDENTAL, as_named_by

HEAD_SEED = 0


def load_model(
    architecture: str,
    weights: str | Path | None,
    num_classes: int,
    modality: Modality,
    *,
    new_head: bool | None = None,
    weights_key: str | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Build a classifier and load its weights.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.
    weights : str, Path or None
        A local file or folder, as for `load_weights`; "hub" for the pre-trained weights that the architecture's
        library publishes, "hub:NAME" for one of several (torchvision: ``hub:IMAGENET1K_V1``; timm: a tag;
        transformers: a revision). None is for a ``module:function`` that loads its weights itself.
    num_classes : int
        Number of classes of the data.
    modality : "image", "text" or "table"
        What the model classifies.
    new_head : bool, optional
        Whether the head may keep random weights (the same on every load) if the weights have no head for these
        classes; a warning then says so. By default this is allowed for hub weights, not for local files.
    weights_key : str, optional
        Which of several sets of weights in a file, as for `read_state`.
    **kwargs
        Passed to the builder of the architecture.

    Returns
    -------
    nn.Module
        In eval mode, on the CPU.

    Raises
    ------
    BequeathError
        As `build` and `load_weights` do, or if `weights` is None for an architecture of a known library.

    Examples
    --------
    >>> load_model("timm:vit_tiny_patch16_224", "vit.safetensors", 2, "image", img_size=96)
    >>> load_model("torchvision:resnet18", "hub:IMAGENET1K_V1", 1000, "image")
    """
    if weights is None:
        if architecture.partition(":")[0] in SOURCES:
            raise BequeathError(
                f"weights of {architecture}: none given, so they would be random; give a .safetensors or .pt "
                'file, or "hub"'
            )
        return in_eval_mode(build(architecture, num_classes, modality, **kwargs).cpu())
    entry = hub_entry(weights)
    model, state, place = seeded_build(architecture, weights, num_classes, modality, kwargs, weights_key)
    replaceable = new_head if new_head is not None else entry is not None
    if replaceable and not architecture.startswith("transformers-causal-lm:"):
        load_body(model, state, place, find_heads(model), keep_heads=True)
    else:
        fit_state(model, state, place)
    return in_eval_mode(model.cpu())


def saved_outputs(
    architecture: str, weights: str | Path, modality: Modality, weights_key: str | None = None, **kwargs: Any
) -> int | None:
    """Count the outputs of a model's saved head.

    Parameters
    ----------
    architecture, weights, modality, weights_key, **kwargs
        As for `load_model`.

    Returns
    -------
    int or None
        None if the weights have no head.

    Raises
    ------
    BequeathError
        As `load_model` does.
    """
    model, state, place = seeded_build(architecture, weights, 2, modality, kwargs, weights_key)
    heads = find_heads(model)
    # Weights of another architecture must raise an error, not count as weights without a head.
    load_body(model, state, place, heads, keep_heads=False)
    saved = state.get(f"{heads[0]}.weight")
    return None if saved is None else len(saved)


def seeded_build(
    architecture: str,
    weights: str | Path,
    num_classes: int,
    modality: Modality,
    kwargs: dict[str, Any],
    weights_key: str | None = None,
) -> tuple[nn.Module, dict[str, Tensor], str]:
    """Build a model with random weights, the same on every load, and read the state dict for it.

    Returns
    -------
    model : nn.Module
    state : dict of str to Tensor
        Under the model's names.
    place : str
        What to call the state in errors.

    Raises
    ------
    BequeathError
        As `build` and `read_state` do, or if `weights_key` is given for hub weights.
    """
    entry = hub_entry(weights)
    place = f"weights {weights}"
    if entry is None:
        state = read_state(weights, weights_key)
    else:
        if weights_key is not None:
            raise BequeathError(f"{place}: weights_key is for local files; leave it out")
        kwargs = {**hub_options(architecture), **kwargs}
        state = hub_state(architecture, entry, kwargs)
        place += f" of {architecture}"
    with _seed(HEAD_SEED):
        model = build(architecture, num_classes, modality, **kwargs)
    return model, as_named_by(model, state, place, asked=weights_key is not None), place


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    strict: bool = True,
    skip: Sequence[str] = (),
    weights_key: str | None = None,
) -> nn.Module:
    """Load a local state file into a model, in place.

    A state dict nested in a training checkpoint is found. A prefix that all names share (Lightning's ``model.``) is
    removed, and so is what data parallelism, averaging and `torch.compile` add to names. Tensors that belong to no
    part of the model, such as a loss or a counter, are left out, and a warning says so. A transformers backbone that
    was saved without its prefix is loaded into the classifier. Names of older versions are renamed as transformers
    and timm do.

    Parameters
    ----------
    model : nn.Module
        Gets the values, in its own dtype and on its own device.
    path : str or Path
        As for `read_state`.
    strict : bool
        Whether missing and unexpected names are errors. Wrong shapes are always errors, and so is a file of which
        nothing fits.
    skip : sequence of str
        Submodules that keep their weights, such as a head that will be replaced.
    weights_key : str, optional
        Which of several sets of weights in the file, as for `read_state`.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    BequeathError
        If the file cannot be read or does not fit. The message lists names, their number, and shapes.

    Examples
    --------
    >>> load_weights(mobilenet_v2(10), "runs/ft/step-000400.safetensors")
    """
    place = f"weights {path}"
    state = as_named_by(model, read_state(path, weights_key), place, asked=weights_key is not None)
    return fit_state(model, state, place, strict=strict, skip=skip)


def load_body(
    model: nn.Module, state: dict[str, Tensor], place: str, heads: Sequence[str], *, keep_heads: bool
) -> nn.Module:
    """Load a state dict into a model, in place; parts at the model's end may be missing from it.

    The head begins with the layers before its last layer, such as RoBERTa's dense layer. From the first part of the
    head that the state lacks, everything keeps its weights, and a warning says so. The rest of the model must be
    complete. Heads of other tasks in the state are left out.

    Parameters
    ----------
    model : nn.Module
        Gets the values.
    state : dict of str to Tensor
        Under the model's names.
    place : str
        Begins the errors.
    heads : sequence of str
        Paths of the last layers.
    keep_heads : bool
        Whether the last layers are loaded too, if the state has them in the right shape.

    Returns
    -------
    nn.Module
        The same model.

    Raises
    ------
    BequeathError
        If the rest of the model is incomplete or does not fit, or the state holds a head alone.
    """
    own = model.state_dict()
    tops = _head_parts(model, heads)
    last = tuple(f"{head}." for head in heads)
    head_names = [name for name in own if _below(name, tops) and not name.endswith(INCIDENTAL)]

    def lacks(name: str) -> bool:
        # A layer of the body with another shape is not missing: it means another architecture.
        other = name in state and state[name].shape != own[name].shape
        return name not in state or (other and name.startswith((*last, "aux", "AuxLogits")))

    inner = [name for name in head_names if not name.startswith(last)]
    cut = next((i for i, name in enumerate(head_names) if name in inner and lacks(name)), len(head_names))
    skipped = set(head_names[cut:])
    ends = [name for name in own if name.startswith(last)]
    if not keep_heads or any(lacks(name) for name in ends):
        skipped |= set(ends)
    other_tasks = [name for name in state if name not in own and _is_other_task(model, name, tops)]
    reduced = {
        name: value for name, value in state.items() if name not in skipped and name not in other_tasks
    }
    if not reduced and any(name.startswith(last) for name in state):
        raise BequeathError(f"{place}: holds only a head, no layer below it; give the whole model's weights")
    fit_state(model, reduced, place, allowed=skipped)
    random = sorted(skipped if keep_heads else skipped - set(ends))
    if random:
        unused = f"; not used: {few(other_tasks, 3)}" if other_tasks else ""
        warnings.warn(
            f"{place}: {few(random, 4)} of {type(model).__name__} not in it for these classes, left at a random "
            f"start (the same on every load){unused}",
            BequeathWarning,
            stacklevel=3,
        )
    return model


def _head_parts(model: nn.Module, heads: Sequence[str]) -> tuple[str, ...]:
    """Modules that belong to the head: its top-level module; in transformers all modules except the base model."""
    base = getattr(model, "base_model_prefix", "")
    children = [name for name, _ in model.named_children()]
    if base in children:
        return (*(name for name in children if name != base), f"{base}.pooler")
    tops = {head.partition(".")[0] for head in heads if not head[0].isdigit()}
    return (*(name for name in children if name in tops or name.lower().startswith("aux")), *heads)


def _below(name: str, parts: Sequence[str]) -> bool:
    return name.startswith(tuple(f"{part}." for part in parts))


def _is_other_task(model: nn.Module, name: str, heads: Sequence[str]) -> bool:
    """Whether a name that the model lacks belongs to the head of another task, not to a layer of a larger body."""
    base = getattr(model, "base_model_prefix", "")
    if _below(name, heads):
        return True
    parent, parts = "", name.split(".")
    modules = dict(model.named_modules())
    while parts and f"{parent}{parts[0]}" in modules:
        parent += f"{parts.pop(0)}."
    return parent in ("", f"{base}.") and bool(parts) and not parts[0].isdigit()


@contextmanager
def _seed(seed: int) -> Iterator[None]:
    """Seed torch's random numbers while the `with` statement lasts; its generator is then as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
