import pytest
import torch

import bequeath as bq
from bequeath.study.store import Store


def store(path, **changes):
    settings = {
        "checkpoints": ["finetuned/step 1", "scratch/step 1"],
        "samples": ["a", "b", "c"],
        "players": ["x", "y"],
        "accuracy_samples": 5,
        "identity": {"seed": 0},
    }
    return Store(path / "t.zarr", **{**settings, **changes})


def test_only_marked_tables_count_as_there(tmp_path):
    first = store(tmp_path)
    assert first.missing_tables() == [(c, s) for c in range(2) for s in range(3)]
    first.write_table(1, 2, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    # Data without its mark, as a kill between the two writes leaves it.
    first._array("table")[0, 0] = torch.ones(4).numpy()
    again = store(tmp_path)
    assert (1, 2) not in again.missing_tables()
    assert (0, 0) in again.missing_tables()
    assert again.table(1, 2).tolist() == [1, 2, 3, 4]


def test_interactions_and_certificates_come_back_as_they_went(tmp_path):
    tables = torch.randn(3, 4, dtype=torch.float64)
    interactions = bq.decompose(tables)
    first = store(tmp_path)
    for sample in range(3):
        first.write_table(0, sample, tables[sample])
        first.write_interactions(0, sample, interactions[sample])
    back = store(tmp_path).interactions(0)
    assert torch.equal(back.values, interactions.values)
    assert torch.equal(back.offset, tables[:, 0])
    assert torch.equal(back.certificate.gap, interactions.certificate.gap)
    assert store(tmp_path).missing_interactions(0) == []
    assert store(tmp_path).missing_interactions(1) == [0, 1, 2]


def test_accuracy_is_whole_or_missing(tmp_path):
    first = store(tmp_path)
    assert first.missing_accuracy() == [0, 1]
    first.write_accuracy(1, torch.tensor([True, False, True, True, False]))
    assert store(tmp_path).missing_accuracy() == [0]
    assert store(tmp_path).correct(1).tolist() == [1, 0, 1, 1, 0]


def test_another_identity_and_a_cut_off_making_are_refused(tmp_path):
    first = store(tmp_path)
    with pytest.raises(bq.BequeathError, match="differs in: baseline, seed"):
        store(tmp_path, identity={"seed": 1, "baseline": "mean"})
    del first._group.attrs["format"]
    with pytest.raises(bq.BequeathError, match="not finished"):
        store(tmp_path)
