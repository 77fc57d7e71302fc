"""Cells of a grid over an image as players."""

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
from bequeath.games.players.masked import MaskedTensor, Rest


def cells(height: int, width: int, rows: int, cols: int, shift: int = 0) -> Tensor:
    """The cell r * cols + c of each point, (height, width); cells differ by a point if the sides are not multiples.

    A shift moves all borders between cells by so many points down and right: the first cell of each axis gets larger,
    the last one smaller.
    """
    row = (torch.arange(height) - shift).clamp(min=0) * rows // height
    col = (torch.arange(width) - shift).clamp(min=0) * cols // width
    return row[:, None] * cols + col


def cell_boxes(rows: int, cols: int) -> list[Box]:
    """(x0, y0, x1, y1) of each cell of a grid as fractions of the image."""
    return [(c / cols, r / rows, (c + 1) / cols, (r + 1) / rows) for r in range(rows) for c in range(cols)]


def cell_names(rows: int, cols: int) -> tuple[str, ...]:
    """Row and column of each cell, counted from 1: ``r1c1``, ..."""
    return tuple(f"r{r + 1}c{c + 1}" for r in range(rows) for c in range(cols))


def shift_fits(shift: int, sides: Sequence[int], counts: Sequence[int]) -> bool:
    """Whether a shift is less than half a cell on each axis; `sides` in pixels, `counts` in cells (1: any shift)."""
    return all(2 * shift * count < side for side, count in zip(sides, counts, strict=True) if count > 1)


def central(rows: int, cols: int, k: int) -> tuple[int, ...]:
    """The k cells of a grid nearest to its centre, in ascending order; of equal ones the upper and left ones."""
    if not 1 <= k <= rows * cols:
        raise BequeathError(f"players grid: {k} cells of {rows} x {cols}; give 1 to {rows * cols}")

    def distance(cell: int) -> int:
        return (2 * (cell // cols) + 1 - rows) ** 2 + (2 * (cell % cols) + 1 - cols) ** 2

    return tuple(sorted(sorted(range(rows * cols), key=distance)[:k]))


def checked(x: Any, kind: str) -> Tensor:
    """x itself if it is an image (channels, height, width); `kind` names the players in the error."""
    if not isinstance(x, Tensor) or x.ndim != 3:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise BequeathError(f"players {kind}: {shape} given; give an image tensor (channels, height, width)")
    return x


def masked(x: Tensor, owner: Tensor, names: tuple[str, ...], baseline: Baseline) -> MaskedTensor:
    """An image with the player of each pixel, `owner` (height, width), and its baseline."""
    return MaskedTensor(owner[None].to(x.device), names, x, baseline.for_image(x))


@dataclass(frozen=True)
class Grid(Players):
    """Cells of a rows x cols grid over an image (channels, height, width). `grid` makes it.

    Attributes
    ----------
    rows, cols : int
        Size of the grid; the cell in row r and column c has the number r * cols + c.
    cells : tuple of int
        The cells that are players, in the order of the players.
    rest : "shown" or "hidden"
        Whether the other cells are always shown or always hidden.
    shift : int
        All borders between cells are moved by so many pixels down and right.

    Examples
    --------
    >>> import bequeath as bq
    >>> bq.players.Grid(2, 2, cells=(0, 3)).names()
    ('r1c1', 'r2c2')
    """

    fusable = True
    rows: int
    cols: int
    cells: tuple[int, ...]
    rest: Rest = "shown"
    shift: int = 0

    def __post_init__(self) -> None:
        if self.rest not in ("shown", "hidden"):
            raise BequeathError(f'players grid: rest {self.rest!r}; give "shown" or "hidden"')
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
        names = cell_names(self.rows, self.cols)
        return tuple(names[cell] for cell in self.cells)

    def boxes(self) -> list[Box] | None:
        """(x0, y0, x1, y1) of each player as fractions of every image; None with a shift, which is in pixels."""
        if self.shift:
            return None
        boxes = cell_boxes(self.rows, self.cols)
        return [boxes[cell] for cell in self.cells]

    def label_map(self, x: Any) -> NDArray[np.int64] | None:
        """The player of each pixel of image x, -1 for none: (height, width). None without a shift: `boxes` has them."""
        if not self.shift:
            return None
        player = np.full(self.rows * self.cols, -1)
        player[list(self.cells)] = range(self.n_players)
        return np.asarray(player[self._owner(checked(x, "grid")).numpy()])

    def only(self, indices: Sequence[int]) -> Grid:
        """A selection of the players; the other cells are as `rest` says."""
        return replace(self, cells=tuple(self.cells[i] for i in indices))

    def shifted(self, shift: int) -> Grid:
        """The same cells with another shift, in pixels."""
        return replace(self, shift=shift)

    def bind(self, x: Any, baseline: Baseline, model: nn.Module) -> MaskedTensor:
        """Bind the cells of the image x, shape (channels, height, width)."""
        x = checked(x, "grid")
        whole = masked(x, self._owner(x), cell_names(self.rows, self.cols), baseline)
        return whole.only(self.cells, self.rest)

    def _owner(self, x: Tensor) -> Tensor:
        """The cell of each pixel: (height, width)."""
        height, width = x.shape[1:]
        if height < self.rows or width < self.cols:
            raise BequeathError(
                f"players grid: {self.rows} x {self.cols} cells on {height} x {width} pixels; give at most one cell a "
                "pixel"
            )
        if not shift_fits(self.shift, (height, width), (self.rows, self.cols)):
            raise BequeathError(
                f"players grid: shift {self.shift} on {self.rows} x {self.cols} cells of {height} x {width} pixels; "
                "give less than half a cell"
            )
        return cells(height, width, self.rows, self.cols, self.shift)

    def __str__(self) -> str:
        selection = (
            ""
            if self.n_players == self.rows * self.cols
            else f"{self.n_players} cells (the rest {self.rest}) of a "
        )
        shifted = f", shifted by {self.shift} pixels" if self.shift else ""
        return f"{selection}{self.rows} x {self.cols} grid of image cells{shifted}"


def grid(
    rows: int, cols: int, cells: int | Sequence[int] | None = None, rest: Rest = "shown", shift: int = 0
) -> Grid:
    """Players are cells of a rows x cols grid over the image.

    Parameters
    ----------
    rows, cols : int
        Size of the grid.
    cells : int, sequence of int, or None
        The cells that are players. A sequence: these cells (row * cols + column, from 0). A number k: the k cells
        nearest to the centre. None: all. `bequeath.most_influential` selects cells by their influence.
    rest : "shown" or "hidden"
        Whether the other cells are always shown or always hidden.
    shift : int
        All borders between cells are moved by so many pixels down and right, less than half a cell. The first cell of
        each axis gets larger, the last one smaller; the number of players stays the same.

    Returns
    -------
    Grid

    Raises
    ------
    BequeathError
        If the grid, a cell or the shift is out of range.

    Examples
    --------
    >>> import bequeath as bq
    >>> bq.players.grid(2, 2).names()
    ('r1c1', 'r1c2', 'r2c1', 'r2c2')
    >>> bq.players.grid(3, 3, cells=1).names()
    ('r2c2',)
    """
    if rows < 1 or cols < 1:
        raise BequeathError(f"players grid: {rows} x {cols} cells; give at least 1 x 1")
    if cells is None:
        return Grid(rows, cols, tuple(range(rows * cols)), rest, shift)
    chosen = central(rows, cols, cells) if isinstance(cells, int) else tuple(cells)
    return Grid(rows, cols, chosen, rest, shift)
