"""Finding a classifier's last layer, and replacing modules by path."""

from __future__ import annotations

from torch import nn

from bequeath.errors import BequeathError


def find_head(model: nn.Module) -> str:
    """Path of the classifier's last layer: the last `nn.Linear` in the order of its modules.

    Raises
    ------
    BequeathError
        If the model has none below itself.

    Examples
    --------
    >>> find_head(mobilenet_v2(10))
    'classifier.1'
    """
    names = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
    if not names:
        raise BequeathError(
            f"model {type(model).__name__}: no nn.Linear in it to be the head; give the head's path, or wrap "
            "the model"
        )
    return str(names[-1])


def replace_submodule(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put a module in the place of the one at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
