"""A multilayer perceptron for tables of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from bequeath.errors import BequeathError


class MLP(nn.Module):
    """Linear layers with ReLU between them; `head` is the last. Build it with `mlp`."""

    def __init__(self, num_features: int, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((num_features, *widths), widths, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear((num_features, *widths)[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (batch, features) -> logits (batch, classes)."""
        logits: Tensor = self.head(self.body(x))
        return logits


def mlp(num_classes: int, num_features: int | None = None, widths: Sequence[int] = (64, 64)) -> MLP:
    """Build a perceptron with torch's random weights.

    Parameters
    ----------
    num_classes : int
        Number of logits.
    num_features : int
        Numbers in a row: columns of the table, after any encoding.
    widths : sequence of int
        Units of each hidden layer. An empty sequence makes it a multinomial logistic regression.

    Returns
    -------
    MLP
        float32, on the CPU, in training mode.

    Raises
    ------
    BequeathError
        If `num_features` is not given, or a size is below 1.

    Examples
    --------
    >>> mlp(num_classes=3, num_features=13, widths=(32,)).head
    Linear(in_features=32, out_features=3, bias=True)
    """
    if num_features is None:
        raise BequeathError("bequeath:mlp: num_features is not given; give the number of columns of a row")
    if min(num_features, *widths) < 1 if widths else num_features < 1:
        raise BequeathError(
            f"bequeath:mlp: num_features {num_features} and widths {tuple(widths)} must be at least 1"
        )
    return MLP(num_features, num_classes, widths)
