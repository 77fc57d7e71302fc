"""Half readings are read once and kept; what is kept is what would be read."""

from pathlib import Path

import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.lattice.sparse.fit import halves
from bequeath.study.findings import half_readings
from bequeath.study.findings.half_readings import kept_halves

PLAYERS = tuple("abcdef")
OPTIONS = {"order": 2, "kind": "and-or", "seed": 3}


@pytest.fixture
def game() -> tuple[torch.Tensor, torch.Tensor]:
    masks = torch.as_tensor(bq.draw_masks(6, 48, seed=0))
    generator = torch.Generator().manual_seed(0)
    x = masks.double()
    tables = torch.stack(
        [2 * x[:, 0] * x[:, 1] - x[:, 2] + torch.rand(1, generator=generator) * x[:, 3] for _ in range(3)]
    )
    return masks, tables


def _effects(reading: bq.Interactions) -> list[dict]:
    listed = reading.listed
    found = []
    for row in range(len(reading.offset)):
        found.append(
            {
                (kind, members): value
                for kind, members, value in zip(
                    listed.kinds, listed.members, listed.value[row].tolist(), strict=True
                )
                if value
            }
        )
    return found


def test_what_is_kept_is_what_would_be_read(tmp_path: Path, game, monkeypatch: pytest.MonkeyPatch) -> None:
    masks, tables = game
    expected = halves(masks, tables, players=PLAYERS, **OPTIONS)
    first = kept_halves(tmp_path, masks, tables, PLAYERS, OPTIONS)
    monkeypatch.setattr(half_readings, "halves", None)  # nothing is read a second time
    second = kept_halves(tmp_path, masks, tables, PLAYERS, OPTIONS)
    for one, given, again in zip(expected, first, second, strict=True):
        assert _effects(given) == _effects(again) == _effects(one)
        assert any(_effects(one))
        for name in ("constant", "residual", "r2"):
            for other in (given, again):
                np.testing.assert_array_equal(getattr(other.listed, name), getattr(one.listed, name))
        assert (again.listed.masks, again.players) == (one.listed.masks, PLAYERS)


def test_other_values_masks_or_options_are_read_anew(tmp_path: Path, game) -> None:
    masks, tables = game
    kept_halves(tmp_path, masks, tables, PLAYERS, OPTIONS)
    kept_halves(tmp_path, masks, tables + 1e-9, PLAYERS, OPTIONS)
    kept_halves(tmp_path, masks, tables, PLAYERS, OPTIONS | {"seed": 4})
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_file_and_a_closed_folder_cost_time_only(tmp_path: Path, game) -> None:
    masks, tables = game
    first = kept_halves(tmp_path, masks, tables, PLAYERS, OPTIONS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    for folder in (tmp_path, tmp_path / "nowhere"):
        again = kept_halves(folder, masks, tables, PLAYERS, OPTIONS)
        assert _effects(again[0]) == _effects(first[0])
