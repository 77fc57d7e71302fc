import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.study.store.layout import Axes
from bequeath.study.store.store import DONE, FAILED, Store

AXES = Axes(
    checkpoints=["finetuned/step 1", "scratch/final"],
    steps=[1, None],
    samples=["a", "b", "c"],
    labels=["cat", "dog", "cat"],
    players=["x", "y"],
    accuracy_samples=5,
)


def make(path, dtype="float64"):
    return Store.create(path / "t.zarr", AXES, {"decomposition": {"kind": "and-or"}, "masks": None}, dtype)


def again(path):
    return Store.open(path / "t.zarr")


def test_only_marked_tables_count_as_there(tmp_path):
    store = make(tmp_path)
    store.write_tables(1, [2], torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64))
    assert again(tmp_path).state("table", 1).tolist() == [0, 0, 0]
    store.mark("table", 1, [2], DONE)
    store.mark("table", 1, [0], FAILED)
    assert again(tmp_path).state("table", 1).tolist() == [FAILED, 0, DONE]
    assert again(tmp_path).state("table", 0).tolist() == [0, 0, 0]
    assert again(tmp_path).tables(1, [2]).tolist() == [[1, 2, 3, 4]]


def test_a_table_whose_file_was_taken_away_is_not_there(tmp_path):
    store = make(tmp_path)
    store.write_tables(0, [0, 1], torch.ones(2, 4, dtype=torch.float64))
    store.mark("table", 0, [0, 1], DONE)
    (tmp_path / "t.zarr/table/c/0/1/0").unlink()
    assert store.state("table", 0).tolist() == [DONE, 0, 0]


def test_interactions_and_certificates_come_back_as_they_went(tmp_path):
    tables = torch.randn(3, 4, dtype=torch.float64)
    interactions = bq.decompose(tables)
    store = make(tmp_path)
    c = interactions.certificate
    fields = torch.stack([c.objective, c.lower_bound, c.resolution, c.iterations.double()], 1)
    store.write_tables(0, range(3), tables)
    store.write_interactions(0, range(3), interactions)
    store.write_certificates(0, range(3), fields.numpy())
    store.mark("interactions", 0, range(3), DONE)
    for samples in (slice(None), [0, 1, 2]):
        back = again(tmp_path).interactions(0, samples)
        assert torch.equal(back.values, interactions.values)
        assert torch.equal(back.offset, tables[:, 0])
        assert torch.equal(back.certificate.gap, interactions.certificate.gap)
        assert torch.equal(back.certificate.iterations, interactions.certificate.iterations)
        assert back.players == ("x", "y")
    assert torch.equal(again(tmp_path).interactions(0, [2]).values, interactions.values[2:])


def test_closed_forms_have_no_certificate(tmp_path):
    store = make(tmp_path)
    store.write_tables(0, range(3), torch.zeros(3, 4, dtype=torch.float64))
    store.write_interactions(0, range(3), bq.decompose(torch.zeros(3, 4), "and"))
    assert store.interactions(0).certificate is None


def test_accuracy_is_whole_or_missing(tmp_path):
    store = make(tmp_path)
    assert store.state("accuracy", 1).tolist() == [0]
    store.write_accuracy(1, torch.tensor([True, False, True, True, False]))
    assert store.state("accuracy", 1).tolist() == [0]
    store.mark("accuracy", 1, (), DONE)
    assert again(tmp_path).state("accuracy", 1).tolist() == [DONE]
    assert again(tmp_path).correct(1).tolist() == [1, 0, 1, 1, 0]


def test_float32_halves_the_bytes(tmp_path):
    store = make(tmp_path, "float32")
    values = torch.tensor([[1 / 3, 2.0, 3.0, 4.0]], dtype=torch.float64)
    store.write_tables(0, [0], values)
    assert store.itemsize == 4
    assert torch.equal(store.tables(0, [0]), values.float().double())


@pytest.mark.parametrize("harm", ["cut", "flip"])
@pytest.mark.parametrize(
    ("name", "file", "read"),
    [
        ("table", "0/1/0", lambda s: s.tables(0)),
        ("table", "0/1/0", lambda s: s.tables(0, [1])),
        ("interactions", "0/1/0/0", lambda s: s.interactions(0)),
        ("table_done", "0/0", lambda s: s.state("table", 0)),
        ("certificate", "0/0/0", lambda s: s.interactions(0)),
        ("correct", "0/0", lambda s: s.correct(0)),
    ],
)
def test_a_damaged_chunk_is_named_and_never_read(tmp_path, name, file, read, harm):
    store = make(tmp_path)
    tables = torch.randn(3, 4, dtype=torch.float64)
    store.write_tables(0, range(3), tables)
    store.write_interactions(0, range(3), bq.decompose(torch.randn(3, 4), "and"))
    store.write_certificates(0, range(3), np.ones((3, 4)))
    store.write_accuracy(0, torch.ones(5))
    store.mark("table", 0, range(3), DONE)
    chunk = tmp_path / "t.zarr" / name / "c" / file
    content = bytearray(chunk.read_bytes())
    if harm == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 16
    chunk.write_bytes(content)
    with pytest.raises(
        bq.BequeathError, match=rf"t\.zarr/{name}/c/{file}: damaged .*remove the file"
    ) as caught:
        read(again(tmp_path))
    assert "\n" not in str(caught.value)
    assert chunk.read_bytes() == content


def test_other_arrays_are_refused(tmp_path):
    (tmp_path / "t.zarr").mkdir()
    with pytest.raises(bq.BequeathError, match=r"t\.zarr: not a run's arrays"):
        again(tmp_path)
    (tmp_path / "t.zarr").rmdir()
    store = make(tmp_path)
    (tmp_path / "t.zarr/interactions/zarr.json").write_text("{")
    with pytest.raises(bq.BequeathError, match=r"t\.zarr/interactions: damaged or missing"):
        again(tmp_path)
    del store._group.attrs["format"]
    with pytest.raises(bq.BequeathError, match="not a complete store of this version"):
        again(tmp_path)
