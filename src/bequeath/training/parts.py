"""Which part of a model is trained: all of it, from a layer on, its head, or an adapter."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from bequeath.errors import BequeathError
from bequeath.models.heads import find_heads
from bequeath.models.named import library, reason


def freeze(model: nn.Module, up_to: str) -> None:
    """Freeze all layers from the first to one of this name, in the order in which the model defines them.

    Weights of the modules around them that belong to no layer, such as positions and class tokens, are frozen, too.

    Raises
    ------
    BequeathError
        If there is no such layer, or nothing would be left to train.
    """
    names = [name for name, _ in model.named_modules() if name]
    if up_to not in names:
        tops = ", ".join(name for name, _ in model.named_children())
        raise BequeathError(
            f"freeze: no layer {up_to!r} in {type(model).__name__}; its parts are {tops}, and theirs"
        )
    last = max(place for place, name in enumerate(names) if name == up_to or name.startswith(f"{up_to}."))
    begun = {"", *names[: last + 1]}
    for name, module in model.named_modules():
        if name in begun:
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
    """The model with low-rank adapters (PEFT) on some layers, everything but them and the head frozen.

    `targets` are names of layers, or the ends of their names; or a regular expression.

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
        found: nn.Module = peft.get_peft_model(model, config)
    except ValueError as error:
        raise BequeathError(f"lora.targets: {targets}: {reason(error)}") from error
    return found


def keep_frozen(model: nn.Module) -> None:
    """Put BatchNorm whose weights are frozen into eval mode: its statistics are not to move either."""
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not own[0].requires_grad:
            module.eval()
