"""Limits training to a part of a model: the layers after a given one, the head, or an adapter."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from bequeath.errors import BequeathError
from bequeath.models.heads import find_heads
from bequeath.models.named import library, reason


def freeze(model: nn.Module, up_to: str) -> None:
    """Freeze all layers up to and including a given one, in the order in which the model defines them.

    Weights that belong to no layer, such as positions and class tokens of the modules around these, are frozen, too.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    up_to : str
        Path of the last module to freeze.

    Raises
    ------
    BequeathError
        If there is no such layer, or nothing would be left to train.
    """
    names = [name for name, _ in model.named_modules() if name]
    if up_to not in names:
        tops = ", ".join(name for name, _ in model.named_children())
        raise BequeathError(
            f"freeze: no layer {up_to!r} in {type(model).__name__}; give one of {tops}, or a layer in one of them"
        )
    last = max(index for index, name in enumerate(names) if name == up_to or name.startswith(f"{up_to}."))
    frozen = {"", *names[: last + 1]}
    for name, module in model.named_modules():
        if name in frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise BequeathError(
            f"freeze: {up_to!r} is the last layer: nothing would be trained; name an earlier one"
        )


def only_heads(model: nn.Module) -> None:
    """Freeze all but the layers that give the logits."""
    model.requires_grad_(False)
    for head in find_heads(model):
        model.get_submodule(head).requires_grad_(True)


def with_lora(model: nn.Module, targets: Sequence[str] | str, rank: int = 8, alpha: int = 16) -> nn.Module:
    """Add low-rank adapters (PEFT) to some layers, and freeze all but these and the head.

    Parameters
    ----------
    model : nn.Module
        Changed in place by PEFT.
    targets : sequence of str, or str
        Names of layers, or the ends of their names; a single string is a regular expression.
    rank, alpha : int
        Rank of the adapters, and their scale: a change is multiplied by alpha / rank.

    Returns
    -------
    nn.Module
        PEFT's model.

    Raises
    ------
    BequeathError
        If PEFT is not installed or finds no such layers.
    """
    peft = library("lora", "peft", "text")
    targets = targets if isinstance(targets, str) else list(targets)
    try:
        config = peft.LoraConfig(
            r=rank, lora_alpha=alpha, target_modules=targets, modules_to_save=list(find_heads(model))
        )
        adapted: nn.Module = peft.get_peft_model(model, config)
    except ValueError as error:
        raise BequeathError(f"lora.targets: {targets}: {reason(error)}; give names of its layers") from error
    return adapted


def keep_frozen(model: nn.Module) -> None:
    """Put BatchNorm with frozen weights into eval mode, so that its statistics do not change either."""
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not own[0].requires_grad:
            module.eval()
