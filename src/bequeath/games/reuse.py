"""Computes early layers of image models once per local pattern instead of once per mask.

After a few layers, each position of a feature map depends only on the few cells within its receptive field. Give the
players colours such that players that reach the same position have different colours. Make 2^colours images, one for
each set of colours, in which exactly the players of these colours are shown. Together they contain every local pattern
at every position, so the feature map of any mask can be assembled from theirs. If the cells of a grid are at least as
large as the receptive field, four colours are enough: 16 images replace 2^n. `Resumed` runs the layers after that.

To see which positions a player reaches, it is replaced by NaN: the positions that become NaN depend on it, in any kind
of layer. To see that the later layers need nothing else from before the cut, they get NaN for everything else.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bequeath.games.from_layer import Resumed, agrees, first_tensor, output_at, record
from bequeath.games.local_features import BATCH, Cut, LocalFeatures
from bequeath.games.players.masked import MaskedInput, MaskedTensor

# A plan costs about thirty forward passes, which fewer masks than this do not save.
LEAST_MASKS = 256
# Cost of assembling features as a share of a forward pass; smaller gains are ignored.
_OVERHEAD = 0.03
# Writing one number takes a processor about as long as this many operations.
_OPERATIONS_PER_NUMBER = 50
_MOST_COLOURS = 12


_plans: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, list[Cut]]] = weakref.WeakKeyDictionary()


def cuts(model: nn.Module, masked: MaskedTensor) -> list[Cut]:
    """The useful cuts of a model for one arrangement of players, at most one for each number of colours; cached."""
    key = (masked.owner.cpu().numpy().tobytes(), masked.x.shape, masked.x.dtype, masked.x.device)
    plans = _plans.setdefault(model, {})
    if key not in plans:
        plans[key] = _find(model, masked)
    return plans[key]


def with_reuse(model: nn.Module, masked: MaskedInput, masks: int, memory: int) -> MaskedInput:
    """The sample with its early features assembled from local patterns, if that saves work; else unchanged.

    Call it under `torch.inference_mode`.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    masked : MaskedInput
        Only samples that are images can change.
    masks : int
        Number of masks that will be evaluated.
    memory : int
        Bytes that the features of the patterns may use.

    Returns
    -------
    MaskedInput
    """
    if masks < LEAST_MASKS or type(masked) is not MaskedTensor or masked.x.ndim != 3:
        return masked
    fitting = [cut for cut in cuts(model, masked) if cost(cut, masks) < 1 and cut.kept_bytes <= memory]
    if not fitting:
        return masked
    return local_features(model, masked, min(fitting, key=lambda cut: cost(cut, masks)))


def cost(cut: Cut, masks: int) -> float:
    """Work of evaluating so many masks with a cut, divided by the work without it."""
    return 1 - cut.share * (1 - cut.patterns / masks) + _OVERHEAD


def local_features(model: nn.Module, masked: MaskedTensor, cut: Cut) -> LocalFeatures:
    """The sample with its features at a cut assembled from local patterns."""
    resumed = Resumed(model, cut.layer, _nan_image(masked))
    return LocalFeatures(masked.owner, masked.names, masked, cut, resumed)


def _nan_image(masked: MaskedTensor) -> Tensor:
    return torch.full_like(masked.x, torch.nan)[None]


def _find(model: nn.Module, masked: MaskedTensor) -> list[Cut]:
    n = len(masked.names)
    trial = torch.rand(2, n, generator=torch.Generator().manual_seed(0)) < 0.5
    inputs = masked.inputs(trial)
    shares = _work_shares(model, inputs)
    reaches = _reaches(model, masked)
    best: dict[int, list[Cut]] = {}
    for layer in sorted(reaches, key=lambda name: shares.get(name, 0.0), reverse=True):
        channels, reach, size = reaches[layer]
        colours = _coloured(reach)
        count = max(colours) + 1
        if count < n and count <= _MOST_COLOURS and shares.get(layer, 0.0) > _OVERHEAD:
            best.setdefault(count, []).append(Cut(layer, channels, reach, colours, shares[layer], size))
    useful = []
    for candidates in best.values():
        # Inside a branch, later layers need more than the output of this layer; try the candidates before it.
        for cut in candidates[:6]:
            if _closed(model, masked, cut, inputs):
                useful.append(cut)
                break
    return useful


class _Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the work of a forward pass: floating point operations, plus a weight for each number written.

    Work is counted, not timed, so that a study uses the same cuts, and gives the same numbers to the last bit, each
    time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.done = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
        made = func(*args, **kwargs)
        if formula is not None:
            self.done += formula(*args, **kwargs, out_val=made)
        if not func.is_view:
            written = sum(part.numel() for part in tree_leaves(made) if isinstance(part, Tensor))
            self.done += _OPERATIONS_PER_NUMBER * written
        return made


def _work_shares(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """For each module that is called once: share of the work of a forward pass until its end."""
    with _Work() as work:
        calls = record(model, inputs, lambda name, output: work.done)
    return {name: call.output / work.done for name, call in calls.items() if call.count == 1}


def _reaches(model: nn.Module, masked: MaskedTensor) -> dict[str, tuple[int, Tensor, int]]:
    """By module: channel axis, positions that each player reaches (players, positions), bytes of one image's output."""

    def keep(name: str, output: Any) -> tuple[int, Tensor, int] | None:
        if not isinstance(output, Tensor) or output.ndim not in (3, 4) or len(output) != count:
            return None
        nan = output.isnan()
        for axis in (1, output.ndim - 1):
            reached = nan.any(axis)
            if torch.equal(reached, nan.all(axis)):
                return axis, reached.flatten(1), output[0].numel() * output.element_size()
        return None

    by_module: dict[str, list[tuple[int, Tensor, int]]] = {}
    players = torch.arange(len(masked.names), device=masked.x.device)
    blocks = torch.split(players, BATCH)
    for block in blocks:
        count = len(block)
        images = torch.where(masked.owner == block.view(-1, *[1] * masked.owner.ndim), torch.nan, masked.x)
        for name, call in record(model, images, keep).items():
            if call.count == 1 and call.output is not None:
                by_module.setdefault(name, []).append(call.output)
    reaches = {}
    for name, parts in by_module.items():
        axis, _, size = parts[0]
        if len(parts) == len(blocks) and all(part[0] == axis for part in parts):
            reach = torch.cat([part[1] for part in parts])
            if not bool(reach.all()):
                reaches[name] = axis, reach, size
    return reaches


def _coloured(reach: Tensor) -> tuple[int, ...]:
    """A greedy colouring in the order of the players: players that reach one position have different colours."""
    weight = reach.float()
    near = ((weight @ weight.T) > 0).tolist()
    colours: list[int] = []
    for player, row in enumerate(near):
        taken = {colours[other] for other in range(player) if row[other]}
        colours.append(next(colour for colour in range(len(near)) if colour not in taken))
    return tuple(colours)


def _closed(model: nn.Module, masked: MaskedTensor, cut: Cut, inputs: Tensor) -> bool:
    """Whether the layers after the cut need only its output; everything else that they get is NaN."""
    try:
        features = first_tensor(output_at(model, cut.layer, inputs))
        assert features is not None
        return agrees(model, inputs, Resumed(model, cut.layer, _nan_image(masked)), features)
    except Exception:  # a network that handles the batch axis in its own way can fail in any way
        return False
