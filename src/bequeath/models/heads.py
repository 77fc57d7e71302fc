"""A classifier's last layer: how it is found, and how modules are replaced by path."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from bequeath.errors import BequeathError

# Heads of distilled vision transformers (timm's DeiT and LeViT, transformers' DeiT), which average the two.
TWO_HEADS = (
    ("head", "head_dist"),
    ("head.linear", "head_dist.linear"),
    ("cls_classifier", "distillation_classifier"),
)


def find_heads(model: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that give the logits.

    Returns
    -------
    tuple of str
        One path, or the two of a distilled vision transformer.

    Raises
    ------
    BequeathError
        If the model holds no `nn.Linear`.
    """
    linears = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
    for pair in TWO_HEADS:
        if set(pair) <= set(linears):
            return pair
    config = getattr(model, "pretrained_cfg", None)  # timm's models declare their head
    declared = config.get("classifier") if isinstance(config, dict) else None
    if declared in linears:
        return (str(declared),)
    # The auxiliary classifiers of GoogLeNet and Inception are for training only.
    names = [name for name in linears if not name.lower().startswith("aux")]
    if not names:
        raise BequeathError(
            f"model {type(model).__name__}: it holds no nn.Linear that could be its head; give the head's path, or "
            "wrap the model"
        )
    return (str(names[-1]),)


def find_head(model: nn.Module) -> str:
    """Path of the classifier's last layer: the one that timm declares, else the last `nn.Linear` in order.

    Raises
    ------
    BequeathError
        If the model holds no `nn.Linear`, or has two heads whose outputs it averages.

    Examples
    --------
    >>> find_head(mobilenet_v2(10))
    'classifier.1'
    """
    heads = find_heads(model)
    if len(heads) > 1:
        raise BequeathError(
            f"model {type(model).__name__}: it averages two heads, {' and '.join(heads)}; load_backbone joins them "
            "into one"
        )
    return heads[0]


class JoinedHeads(nn.Module):
    """A model that averaged several heads, now with one head on the mean of their inputs.

    This loses nothing for a single linear head: the mean of its outputs is its output on the mean.
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
        """The model's own arguments -> logits (batch, classes)."""
        output = self.body(*args, **kwargs)
        logits: Tensor = self.head(getattr(output, "logits", output))
        return logits


def replace_submodule(model: nn.Module, path: str, new: nn.Module) -> None:
    """Replace the module at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
