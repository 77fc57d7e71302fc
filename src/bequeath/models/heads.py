"""Finding a classifier's last layer, and replacing modules by path."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from bequeath.errors import BequeathError

# Distilled vision transformers: timm's DeiT and LeViT, transformers' DeiT. Their logits are the mean of both.
TWO_HEADS = (
    ("head", "head_dist"),
    ("head.linear", "head_dist.linear"),
    ("cls_classifier", "distillation_classifier"),
)


def find_heads(model: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that give the logits: one, or the two of a distilled vision transformer.

    Raises
    ------
    BequeathError
        If the model has no `nn.Linear` below itself.
    """
    linears = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
    for pair in TWO_HEADS:
        if set(pair) <= set(linears):
            return pair
    config = getattr(model, "pretrained_cfg", None)  # timm's models tell
    declared = config.get("classifier") if isinstance(config, dict) else None
    if declared in linears:
        return (str(declared),)
    # GoogLeNet and Inception have classifiers on the way, for training only.
    names = [name for name in linears if not name.lower().startswith("aux")]
    if not names:
        raise BequeathError(
            f"model {type(model).__name__}: no nn.Linear in it to be the head; give the head's path, or wrap "
            "the model"
        )
    return (str(names[-1]),)


def find_head(model: nn.Module) -> str:
    """Path of the classifier's last layer: the one that timm declares, or else the last `nn.Linear` in order.

    Raises
    ------
    BequeathError
        If the model has none below itself, or two whose outputs it averages.

    Examples
    --------
    >>> find_head(mobilenet_v2(10))
    'classifier.1'
    """
    heads = find_heads(model)
    if len(heads) > 1:
        raise BequeathError(
            f"model {type(model).__name__}: two heads, {' and '.join(heads)}, of which it gives the mean; "
            "load_backbone makes them one"
        )
    return heads[0]


class JoinedHeads(nn.Module):
    """A model whose logits were the mean of several heads, with one head on the mean of their inputs.

    Any one linear head can be had on both sides, and nothing else is lost: the mean of one layer's outputs is its
    output on the mean.
    """

    def __init__(self, model: nn.Module, heads: tuple[str, ...]) -> None:
        super().__init__()
        first = model.get_submodule(heads[0])
        assert isinstance(first, nn.Linear)
        self.head = first
        self.body = copy.deepcopy(model)
        for head in heads:
            replace_submodule(self.body, head, nn.Identity())

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """As the model itself -> logits (batch, classes)."""
        given = self.body(*args, **kwargs)
        logits: Tensor = self.head(getattr(given, "logits", given))
        return logits


def replace_submodule(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put a module in the place of the one at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
