"""Designs of masks."""

from __future__ import annotations

import pytest
import torch

from bequeath.errors import BequeathError
from bequeath.lattice.sparse.masks import draw_masks

DESIGNS = ("uniform", "size", "mostly", "paired")


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n", [1, 3, 9, 40])
def test_masks_differ_and_begin_with_the_empty_and_the_full_one(design: str, n: int) -> None:
    masks = draw_masks(n, 200, design)  # type: ignore[arg-type]
    assert masks.dtype == torch.bool
    assert masks.shape == (min(200, 2**n), n)
    assert len(torch.unique(masks, dim=0)) == len(masks)
    assert not masks[0].any()
    assert masks[1].all()


@pytest.mark.parametrize("design", DESIGNS)
def test_more_masks_extend_the_earlier_ones(design: str) -> None:
    few, many = (draw_masks(8, k, design, seed=3) for k in (60, 256))  # type: ignore[arg-type]
    assert torch.equal(many[:60], few)
    assert torch.equal(few, draw_masks(8, 60, design, seed=3))  # type: ignore[arg-type]
    assert not torch.equal(few, draw_masks(8, 60, design, seed=4))  # type: ignore[arg-type]


def test_what_designs_show() -> None:
    share = {design: draw_masks(64, 1000, design).double().mean().item() for design in DESIGNS}  # type: ignore[arg-type]
    assert share == pytest.approx({"uniform": 0.5, "size": 0.5, "mostly": 0.75, "paired": 0.5}, abs=0.02)
    assert draw_masks(64, 1000, shown=0.9).double().mean().item() == pytest.approx(0.9, abs=0.02)
    sizes = draw_masks(10, 500, "size").sum(1)[2:]
    assert (torch.bincount(sizes, minlength=11)[1:10] > 20).sum() >= 7
    paired = draw_masks(30, 100, "paired")[2:]
    assert torch.equal(paired[::2], ~paired[1::2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 257}, "257 given; sparse readings take 1 to 256"),
        ({"n": 0}, "0 given"),
        ({"n": 5, "masks": 1}, "at least 2"),
        ({"n": 5, "design": "random"}, "'random'; give one of uniform"),
        ({"n": 5, "shown": 1.0}, "between 0 and 1"),
        ({"n": 5, "design": "size", "shown": 0.5}, "none for 'size'"),
        ({"n": 20, "masks": 5000, "shown": 1e-9}, "only 2 different masks"),
    ],
)
def test_designs_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        draw_masks(**arguments)  # type: ignore[arg-type]
