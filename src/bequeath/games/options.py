"""Options for running models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from bequeath.errors import BequeathError, first_line
from bequeath.games.memory import memory_budget

Autocast = Literal["bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `Evaluation` except the batch size, which a study file names differently."""

    device: str | None = None
    memory: str | int | None = None
    autocast: Autocast | None = None
    channels_last: bool | None = None
    compile: bool = False
    reuse: bool = True


@dataclass(frozen=True)
class Evaluation(Options):
    """Options for running models.

    Parameters
    ----------
    batch_size : int or None
        Masked inputs in one forward pass; None: the fastest size that fits, which is searched during the work.
    device : str or None
        Device that models are moved to, such as "cuda"; None: they stay where they are.
    memory : str, int or None
        Budget for inputs and activations, such as "4GiB" or a number of bytes; None: half of the free memory. With
        `compile`, memory is not measured, and batches get smaller only if it runs out.
    autocast : "bfloat16", "float16" or None
        Lower precision for the layers that torch's autocast chooses; `effect_on_values` measures its effect.
    channels_last : bool or None
        Whether images and weights are in channels-last layout: faster for most convolutions, the same numbers up to
        rounding. None: if the model has 2-d convolutions.
    compile : bool
        Whether to run the model through `torch.compile`; partial batches are padded, so that it compiles once.
    reuse : bool
        Whether to compute parts that do not depend on the mask only once: early layers of image models once per local
        pattern, a fixed prompt once. The numbers are the same up to rounding.

    Raises
    ------
    BequeathError
        If an option is out of range, or the device cannot be used.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> how = bq.Evaluation(batch_size=4, device="cpu")
    >>> game = bq.Game(
    ...     torch.nn.Linear(3, 2), torch.ones(3), bq.players.columns(), bq.baselines.zero(), bq.values.log_odds(0)
    ... )
    >>> next(bq.tables([game], how)).shape
    torch.Size([8])
    """

    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise BequeathError(
                f"batch_size: {self.batch_size}; give at least 1, or None to search for the best"
            )
        if self.autocast not in (None, "bfloat16", "float16"):
            raise BequeathError(f'autocast: {self.autocast!r}; give "bfloat16", "float16" or None')
        if self.memory is not None:
            memory_budget(self.memory, torch.device("cpu"))
        if self.device is not None:
            device_named(self.device)

    @classmethod
    def of(cls, options: Mapping[str, Any], *others: str) -> Evaluation:
        """Make options from a mapping by name.

        Raises
        ------
        BequeathError
            If an option is unknown; the message lists all options and the `others` that the caller takes.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise BequeathError(f"{name}: no such option; there are {', '.join([*known, *others])}")
        return cls(**options)


def device_named(name: str) -> torch.device:
    """A device by its name.

    Raises
    ------
    BequeathError
        If it cannot be used.
    """
    try:
        # With its number, as tensors have it: "cuda" does not equal "cuda:0".
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise BequeathError(
            f"device: {name!r} cannot be used ({first_line(error)}); give cpu, or leave it out"
        ) from None
    return device
