"""Players of an image: cells of a grid, given regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.baselines import Baseline
from bequeath.games.players.family import Box, Players
from bequeath.games.players.masked import HIDDEN, SHOWN, MaskedTensor, Rest
from bequeath.lattice.given import plain_tensor
from bequeath.printable import one_line


def cells(height: int, width: int, rows: int, cols: int, shift: int = 0) -> Tensor:
    """The cell r * cols + c of each point: (height, width); cells differ by a point where the sides do not divide.

    All borders lie `shift` points further down and right: an axis' first cell is larger by that, its last one smaller.
    """
    row = (torch.arange(height) - shift).clamp(min=0) * rows // height
    col = (torch.arange(width) - shift).clamp(min=0) * cols // width
    return row[:, None] * cols + col


def cell_boxes(rows: int, cols: int) -> list[Box]:
    """(x0, y0, x1, y1) of each cell of a grid as fractions of the picture."""
    return [(c / cols, r / rows, (c + 1) / cols, (r + 1) / rows) for r in range(rows) for c in range(cols)]


def cell_names(rows: int, cols: int) -> tuple[str, ...]:
    """Row and column of each cell, counted from 1: ``r1c1``, ..."""
    return tuple(f"r{r + 1}c{c + 1}" for r in range(rows) for c in range(cols))


def shift_fits(shift: int, sides: Sequence[int], counts: Sequence[int]) -> bool:
    """Whether a shift is less than half a cell on each axis that is cut, of so many pixels and cells."""
    return all(2 * shift * count < side for side, count in zip(sides, counts, strict=True) if count > 1)


def central(rows: int, cols: int, k: int) -> tuple[int, ...]:
    """The k cells of a grid nearest to its centre, in ascending order; the upper and left ones first where equal."""
    if not 1 <= k <= rows * cols:
        raise BequeathError(f"players grid: {k} cells of {rows} x {cols}; give 1 to {rows * cols}")

    def distance(cell: int) -> int:
        return (2 * (cell // cols) + 1 - rows) ** 2 + (2 * (cell % cols) + 1 - cols) ** 2

    return tuple(sorted(sorted(range(rows * cols), key=distance)[:k]))


def checked(x: Any, kind: str) -> Tensor:
    """The image that players of a kind need."""
    if not isinstance(x, Tensor) or x.ndim != 3:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise BequeathError(
            f"players {kind}: an image tensor (channels, height, width) is needed, not {shape}"
        )
    return x


def masked(x: Tensor, owner: Tensor, names: tuple[str, ...], baseline: Baseline) -> MaskedTensor:
    """An image, the owner (height, width) of each pixel, and what is behind hidden ones."""
    return MaskedTensor(owner[None].to(x.device), names, x, baseline.for_image(x))


@dataclass(frozen=True)
class Grid(Players):
    """Cells of a rows x cols grid over an image (channels, height, width).

    Attributes
    ----------
    rows, cols : int
        Size of the grid; cell r * cols + c.
    cells : tuple of int
        The cells that are players, in their order.
    rest : "shown" or "hidden"
        What the other cells always are.
    shift : int
        Pixels of the image by which all borders between cells lie further down and right.
    """

    fusable = True
    rows: int
    cols: int
    cells: tuple[int, ...]
    rest: Rest = "shown"
    shift: int = 0

    def __post_init__(self) -> None:
        if self.rest not in ("shown", "hidden"):
            raise BequeathError(f'players grid: rest is "shown" or "hidden", not {self.rest!r}')
        if self.shift < 0:
            raise BequeathError(f"players grid: shift {self.shift}; give 0 or more pixels (down and right)")
        count = self.rows * self.cols
        if (
            not self.cells
            or len(set(self.cells)) < len(self.cells)
            or not set(self.cells) <= set(range(count))
        ):
            raise BequeathError(
                f"players grid: cells {list(self.cells)}; give different numbers from 0 to {count - 1} (row * "
                f"{self.cols} + column)"
            )

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.cells)

    def names(self, x: Any = None) -> tuple[str, ...]:
        """Row and column of each player, counted from 1: ``r1c1``, ..."""
        every = cell_names(self.rows, self.cols)
        return tuple(every[cell] for cell in self.cells)

    def boxes(self) -> list[Box] | None:
        """(x0, y0, x1, y1) of each player as fractions of every picture; None with a shift, which is in pixels."""
        if self.shift:
            return None
        every = cell_boxes(self.rows, self.cols)
        return [every[cell] for cell in self.cells]

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        """The player of each pixel of x, -1 where there is none: (height, width). None without a shift: see `boxes`."""
        if not self.shift:
            return None
        place = np.full(self.rows * self.cols, -1)
        place[list(self.cells)] = range(self.n_players)
        return np.asarray(place[self._owner(checked(x, "grid")).numpy()])

    def only(self, indices: Sequence[int]) -> Grid:
        """Some of the cells; the others are what `rest` says."""
        return replace(self, cells=tuple(self.cells[i] for i in indices))

    def shifted(self, shift: int) -> Grid:
        """The same cells, all borders `shift` pixels further down and right than without a shift."""
        return replace(self, shift=shift)

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Cells of x, shape (channels, height, width); cells differ by a pixel where the sides do not divide."""
        x = checked(x, "grid")
        whole = masked(x, self._owner(x), cell_names(self.rows, self.cols), baseline)
        return whole.only(self.cells, self.rest)

    def _owner(self, x: Tensor) -> Tensor:
        """The cell of each pixel: (height, width)."""
        height, width = x.shape[1:]
        if height < self.rows or width < self.cols:
            raise BequeathError(f"players grid: {self.rows} x {self.cols} cells on {height} x {width} pixels")
        if not shift_fits(self.shift, (height, width), (self.rows, self.cols)):
            raise BequeathError(
                f"players grid: shift {self.shift} on {self.rows} x {self.cols} cells of {height} x {width} pixels; "
                "give less than half a cell"
            )
        return cells(height, width, self.rows, self.cols, self.shift)

    def __str__(self) -> str:
        some = (
            ""
            if self.n_players == self.rows * self.cols
            else f"{self.n_players} cells (the rest {self.rest}) of a "
        )
        shifted = f", shifted by {self.shift} pixels" if self.shift else ""
        return f"{some}{self.rows} x {self.cols} grid of image cells{shifted}"


# eq=False: comparing two tensors gives a tensor, so a generated __eq__ could only fail.
@dataclass(frozen=True, eq=False)
class Regions(Players):
    """Given regions of an image, the same in every sample.

    Attributes
    ----------
    owner : Tensor
        int64, (height, width): the player of each pixel; SHOWN where no region covers it.
    given : tuple of str
        Names of the regions.
    """

    fusable = True
    owner: Tensor
    given: tuple[str, ...]

    __repr__ = one_line

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.given)

    def names(self, x: Any = None) -> tuple[str, ...]:
        """The regions' own."""
        return self.given

    def label_map(self, x: Any) -> NDArray[np.int64]:
        """The region of each pixel, negative where there is none: (height, width)."""
        return self.owner.numpy()

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Regions of x, shape (channels, height, width), of the masks' height and width."""
        x = checked(x, "regions")
        if x.shape[1:] != self.owner.shape:
            raise BequeathError(
                f"players regions: masks of {tuple(self.owner.shape)} pixels on an image of "
                f"{tuple(x.shape[1:])}; resize the masks"
            )
        return masked(x, self.owner, self.given, baseline)

    def __str__(self) -> str:
        return f"{self.n_players} given regions"


def grid(
    rows: int, cols: int, cells: int | Sequence[int] | None = None, rest: Rest = "shown", shift: int = 0
) -> Grid:
    """Players are cells of a rows x cols grid over the image.

    Parameters
    ----------
    rows, cols : int
        Size of the grid.
    cells : int, sequence of int, or None
        Which cells are players: the given ones (row * cols + column), the k nearest to the centre, or all.
        `most_influential` finds those that matter.
    rest : "shown" or "hidden"
        What the other cells always are.
    shift : int
        Pixels of the image given by which all borders between cells are moved down and right, less than half a cell.
        The first cell of each axis gets larger by them, the last one smaller; the number of players stays the same.

    Raises
    ------
    BequeathError
        If the grid, a cell or the shift is out of range.
    """
    if rows < 1 or cols < 1:
        raise BequeathError(f"players grid: {rows} x {cols}; both must be at least 1")
    if cells is None:
        return Grid(rows, cols, tuple(range(rows * cols)), rest, shift)
    chosen = central(rows, cols, cells) if isinstance(cells, int) else tuple(cells)
    return Grid(rows, cols, chosen, rest, shift)


def regions(masks: Any, names: Sequence[str] | None = None, rest: Rest = "shown") -> Regions:
    """Players are given regions of the image.

    Parameters
    ----------
    masks : array or Tensor
        Either bool, (regions, height, width), without overlap; or an integer label map (height, width) with regions
        0, 1, ... and negative numbers where there is none.
    names : sequence of str, optional
        One a region.
    rest : "shown" or "hidden"
        What pixels of no region always are.

    Raises
    ------
    BequeathError
        If masks overlap, are empty, or have another shape.
    """
    if rest not in ("shown", "hidden"):
        raise BequeathError(f'players regions: rest is "shown" or "hidden", not {rest!r}')
    array = plain_tensor(masks, "players regions")
    if array.ndim > 1 and not array.numel():
        raise BequeathError(
            f"players regions: masks {tuple(array.shape)} are empty; give at least one region"
        )
    if array.ndim == 3 and array.dtype == torch.bool:
        overlap = int((array.sum(0) > 1).sum())
        if overlap:
            raise BequeathError(
                f"players regions: {overlap} pixels lie in more than one mask; give each pixel to one"
            )
        labels = torch.where(array.any(0), array.long().argmax(0), SHOWN)
        n = len(array)
    elif array.ndim == 2 and not array.is_floating_point() and array.dtype != torch.bool:
        labels = array.long()
        n = int(labels.max()) + 1
    else:
        raise BequeathError(
            f"players regions: masks {array.dtype} {tuple(array.shape)}; give bool (regions, height, width), or an "
            "integer label map (height, width)"
        )
    empty = sorted(set(range(n)) - set(labels.flatten().tolist()))
    if n < 1:
        raise BequeathError("players regions: no pixel lies in a region; give regions 0, 1, ...")
    if empty:
        raise BequeathError(f"players regions: region {empty[0]} has no pixel; remove it")
    labels = torch.where(labels < 0, SHOWN if rest == "shown" else HIDDEN, labels)
    given = tuple(names) if names is not None else tuple(f"region {i + 1}" for i in range(n))
    if len(given) != n:
        raise BequeathError(f"players regions: {len(given)} names for {n} regions")
    return Regions(labels, given)
