"""Image players, against loops over pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

import bequeath as bq
from bequeath.games.players.masked import HIDDEN, SHOWN, MaskedTensor
from bequeath.lattice.subsets import masks


def bind(players, x, baseline=None):
    return players.bind(x, baseline or bq.baselines.zero(), nn.Identity())


def pixel_by_pixel(owner, x, hidden, mask):
    """Each pixel from the sample if its owner is shown, else from the baseline."""
    out = x.clone()
    for place in np.ndindex(*owner.shape):
        player = int(owner[place])
        shown = player == SHOWN or (player != HIDDEN and bool(mask[player]))
        if not shown:
            out[(..., *place)] = hidden[(..., *place)]
    return out


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(1, 6), height=st.integers(1, 5), width=st.integers(1, 5))
def test_inputs_are_the_pixels_of_shown_owners(data, n, height, width):
    owners = data.draw(st.lists(st.integers(-2, n - 1), min_size=height * width, max_size=height * width))
    owner = torch.tensor(owners).reshape(height, width)
    shown = torch.tensor(data.draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1)))
    x, hidden = torch.randn(2, height, width), torch.randn(2, height, width)
    got = MaskedTensor(owner[None], tuple("abcdef"[:n]), x, hidden).inputs(shown)
    assert torch.equal(got, torch.stack([pixel_by_pixel(owner, x, hidden, mask) for mask in shown]))


def cell_of(row, col, height, width, rows, cols):
    return row * rows // height * cols + col * cols // width


@pytest.mark.parametrize("size", [(12, 12), (7, 10), (5, 13)])
@pytest.mark.parametrize("rest", ["shown", "hidden"])
@pytest.mark.parametrize("cells", [None, [7, 0, 5], 3])
def test_grids_of_all_some_and_central_cells(size, rest, cells):
    torch.manual_seed(0)
    rows, cols = 3, 4
    x, hidden = torch.randn(2, *size), torch.full((2, *size), 9.0)
    players = bq.players.grid(rows, cols, cells, rest)
    bound = bind(players, x, bq.baselines.given(9.0))
    chosen = {None: list(range(12)), 3: list(players.cells)}.get(
        cells if not isinstance(cells, list) else "", cells
    )
    assert bound.names == tuple(f"r{c // cols + 1}c{c % cols + 1}" for c in chosen)
    shown = torch.rand(5, len(chosen)) < 0.5
    owner = torch.tensor([[cell_of(r, c, *size, rows, cols) for c in range(size[1])] for r in range(size[0])])
    nobody = SHOWN if rest == "shown" else HIDDEN
    owner = torch.tensor(
        [[chosen.index(c) if c in chosen else nobody for c in row] for row in owner.tolist()]
    )
    expected = torch.stack([pixel_by_pixel(owner, x, hidden, mask) for mask in shown])
    assert torch.equal(bound.inputs(shown), expected)


def test_cells_of_a_ragged_grid_differ_by_one_pixel_and_lie_in_their_boxes():
    owner = bind(bq.players.grid(3, 4), torch.zeros(1, 8, 11)).owner[0]
    heights = [int((owner[:, 0] // 4 == r).sum()) for r in range(3)]
    widths = [int((owner[0] % 4 == c).sum()) for c in range(4)]
    assert (sorted(heights), sorted(widths)) == ([2, 3, 3], [2, 3, 3, 3])
    for (x0, y0, x1, y1), cell in zip(bq.players.grid(3, 4).boxes(), range(12), strict=True):
        ys, xs = (owner == cell).nonzero(as_tuple=True)
        assert y0 * 8 <= ys.min() + 1
        assert ys.max() <= y1 * 8
        assert x0 * 11 <= xs.min() + 1
        assert xs.max() <= x1 * 11


@pytest.mark.parametrize("size", [(24, 24), (30, 21), (13, 17)])  # the same pixels whatever the resolution
@pytest.mark.parametrize(("rest", "cells"), [("shown", None), ("hidden", [5, 0, 3])])
def test_a_shift_moves_the_borders_between_cells(size, rest, cells):
    rows, cols, shift = 2, 3, 2
    players = bq.players.grid(rows, cols, cells, rest, shift=shift)
    chosen = list(players.cells)
    x = torch.randn(2, *size)
    owner = torch.tensor(
        [
            [cell_of(max(r - shift, 0), max(c - shift, 0), *size, rows, cols) for c in range(size[1])]
            for r in range(size[0])
        ]
    )
    nobody = SHOWN if rest == "shown" else HIDDEN
    owner.apply_(lambda cell: chosen.index(cell) if cell in chosen else nobody)
    bound = bind(players, x, bq.baselines.given(9.0))
    assert torch.equal(bound.owner[0], owner)
    assert bound.names == bq.players.grid(rows, cols, cells).names()
    assert players.boxes() is None
    assert np.array_equal(players.label_map(x), owner.clamp(min=-1).numpy())
    assert players == bq.players.grid(rows, cols, cells, rest).shifted(shift)
    assert str(players).endswith("2 x 3 grid of image cells, shifted by 2 pixels")
    assert players.only([1]).shift == shift


def test_the_first_cell_grows_by_the_shift_and_the_last_one_shrinks():
    owner = bind(bq.players.grid(1, 4, shift=3), torch.zeros(1, 5, 32)).owner[0, 0]
    assert torch.bincount(owner).tolist() == [11, 8, 8, 5]
    assert bq.players.grid(1, 4).label_map(torch.zeros(1, 5, 32)) is None


@pytest.mark.parametrize(
    ("rows", "cols", "k", "expected"),
    [
        (3, 3, 1, (4,)),
        (3, 3, 5, (1, 3, 4, 5, 7)),
        (4, 4, 4, (5, 6, 9, 10)),
        (2, 2, 1, (0,)),
        (2, 3, 2, (1, 4)),
        (1, 4, 4, (0, 1, 2, 3)),
    ],
)
def test_central_cells(rows, cols, k, expected):
    assert bq.players.grid(rows, cols, k).cells == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bq.players.grid(3, 3, 10), "10 cells of 3 x 3; give 1 to 9"),
        (lambda: bq.players.grid(3, 3, 0), "0 cells of 3 x 3"),
        (lambda: bq.players.grid(3, 3, [0, 0]), r"cells \[0, 0\]; give different numbers from 0 to 8"),
        (lambda: bq.players.grid(3, 3, [9]), r"cells \[9\]"),
        (lambda: bq.players.grid(3, 3, []), r"cells \[\]"),
        (lambda: bq.players.grid(3, 3, 2, rest="gone"), 'rest \'gone\'; give "shown" or "hidden"'),
        (lambda: bq.players.grid(3, 3, shift=-1), "shift -1; give 0 or more pixels"),
        (
            lambda: bind(bq.players.grid(3, 1, shift=2), torch.zeros(1, 12, 9)),
            "shift 2 on 3 x 1 cells of 12 x 9 pixels; give less than half a cell",
        ),
        (lambda: bq.players.superpixels(0), "n_players 0, compactness 10"),
        (lambda: bind(bq.players.superpixels(9), torch.zeros(3, 4, 4)), "9 on only 4 x 4 pixels"),
        (lambda: bind(bq.players.superpixels(9), torch.zeros(4, 4)), r"\(4, 4\) given; give an image tensor"),
    ],
)
def test_bad_grids_and_superpixels_are_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


def pictures():
    rng = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 1, 40)
    return {
        "noise": torch.randn(3, 40, 40, generator=rng),
        "flat": torch.full((3, 40, 40), 0.3),
        "ramp": (ramp[:, None] + ramp).expand(3, 40, 40) - 5,
        "grey noise": torch.rand(1, 33, 47, generator=rng),
        "four channels": torch.rand(4, 40, 25, generator=rng),
    }


@pytest.mark.parametrize("n", [1, 2, 9, 16])
@pytest.mark.parametrize("name", pictures())
def test_superpixels_are_exactly_n_connected_regions(name, n):
    x = pictures()[name]
    labels = bq.players.superpixels(n).label_map(x)
    assert labels.shape == tuple(x.shape[1:])
    assert sorted(np.unique(labels)) == list(range(n))
    assert all(ndimage.label(labels == i)[1] == 1 for i in range(n))
    assert np.array_equal(labels, bq.players.superpixels(n).label_map(x.clone()))
    first = [int(np.flatnonzero(labels.ravel() == i)[0]) for i in range(n)]
    assert first == sorted(first)
    bound = bind(bq.players.superpixels(n), x)
    assert bound.names == tuple(f"s{i + 1}" for i in range(n))
    assert torch.equal(bound.inputs(torch.eye(n, dtype=torch.bool)).sum(0), x)


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e-3])
def test_superpixels_follow_a_colour_edge_whatever_the_units(scale):
    row, col = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    left = col + row // 3 < 30
    x = torch.stack((left.float(), (~left).float(), torch.zeros(48, 48))) * scale
    labels = torch.from_numpy(bq.players.superpixels(8).label_map(x))
    strays = sum(int(min((left & (labels == i)).sum(), (~left & (labels == i)).sum())) for i in range(8))
    assert strays <= 10  # of 2304


def quarters():
    owner = torch.full((4, 6), -1)
    owner[:2, :3], owner[2:, :3], owner[:2, 3:5] = 0, 1, 2
    return owner


@pytest.mark.parametrize("rest", ["shown", "hidden"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int16])
def test_regions_from_masks_and_from_a_label_map_are_the_same(rest, dtype):
    owner = quarters()
    x = torch.randn(3, 4, 6)
    stack = torch.stack([owner == i for i in range(3)])
    expected = torch.stack(
        [
            pixel_by_pixel(
                torch.where(owner < 0, SHOWN if rest == "shown" else HIDDEN, owner), x, 0 * x, mask
            )
            for mask in masks(3)
        ]
    )
    for given_as in (owner.to(dtype), stack, stack.numpy(), owner.numpy().tolist(), list(stack)):
        bound = bind(bq.players.regions(given_as, ["a", "b", "c"], rest), x)
        assert bound.names == ("a", "b", "c")
        assert torch.equal(bound.inputs(masks(3)), expected)


def test_unsigned_label_maps_are_read():
    assert bq.players.regions(np.array([[0, 1], [2, 1]], np.uint16)).names() == tuple(
        f"region {i + 1}" for i in range(3)
    )


@pytest.mark.parametrize(
    ("masks", "more", "message"),
    [
        (torch.ones(2, 4, 4, dtype=torch.bool), {}, "16 pixels lie in more than one mask"),
        (
            torch.eye(4).bool()[None].expand(2, 4, 4) & torch.tensor([True, False])[:, None, None],
            {},
            "region 1 has no",
        ),
        (torch.tensor([[0, 2]]), {}, "region 1 has no pixel"),
        (torch.zeros(0, 4, 4, dtype=torch.bool), {}, r"\(0, 4, 4\) are empty"),
        (torch.zeros(0, 4, dtype=torch.int64), {}, r"\(0, 4\) are empty"),
        (torch.full((2, 2), -1), {}, "no pixel lies in a region"),
        (torch.zeros(2, 2), {}, r"torch.float32 \(2, 2\); give bool"),
        (torch.zeros(2, 2, dtype=torch.bool), {}, r"torch.bool \(2, 2\); give bool"),
        (torch.zeros(2, 2, dtype=torch.int64), {"names": ["a", "b"]}, "2 names for 1 regions"),
        (torch.zeros(2, 2, dtype=torch.int64), {"rest": "gone"}, 'rest \'gone\'; give "shown" or "hidden"'),
    ],
)
def test_bad_regions_are_named(masks, more, message):
    with pytest.raises(bq.BequeathError, match=message):
        bq.players.regions(masks, **more)


def test_regions_of_another_size_than_the_image_are_refused():
    with pytest.raises(bq.BequeathError, match=r"masks of \(4, 6\) pixels on an image of \(8, 8\); resize"):
        bind(bq.players.regions(quarters()), torch.zeros(3, 8, 8))


KINDS = {
    "grid": (bq.players.grid(2, 3), torch.randn(3, 9, 9)),
    "central": (bq.players.grid(3, 3, 6, "hidden"), torch.randn(3, 9, 9)),
    "superpixels": (bq.players.superpixels(6), torch.randn(3, 20, 20)),
    "regions": (bq.players.regions(torch.arange(-1, 6).expand(4, 7)), torch.randn(3, 4, 7)),
    "columns": (bq.players.columns(), torch.randn(6)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rest", ["shown", "hidden"])
def test_chosen_players_play_the_game_of_all_with_the_others_fixed(kind, rest):
    players, x = KINDS[kind]
    every, some = bind(players, x), bind(bq.players.chosen(players, [4, 0, 3], rest), x)
    assert some.names == tuple(every.names[i] for i in (4, 0, 3))
    whole = torch.full((8, 6), rest == "shown")
    whole[:, [4, 0, 3]] = masks(3)
    assert torch.equal(some.inputs(masks(3)), every.inputs(whole))


@pytest.mark.parametrize("indices", [[], [0, 0], [6], [-1]])
def test_bad_choices_are_named(indices):
    with pytest.raises(bq.BequeathError, match=r"chosen of 6; give different numbers from 0 to 5"):
        bind(bq.players.chosen(KINDS["grid"][0], indices), KINDS["grid"][1])
    with pytest.raises(bq.BequeathError, match='"shown" or "hidden"'):
        bq.players.chosen(bq.players.columns(), [0], rest="gone")
