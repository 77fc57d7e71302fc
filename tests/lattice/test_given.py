"""Numbers from users: each kind of array gives the right result, or an error in one line."""

import numpy as np
import pytest
import scipy.sparse
import torch

import bequeath as bq
from bequeath.lattice.given import flags, numbers, whole

TABLE = [0.5, 1.0, -2.0, 3.0, 0.25, 4.0, 1.5, -1.0]
KINDS = {
    "list": list,
    "tuple": tuple,
    "list of tensors": lambda v: [torch.tensor(one) for one in v],
    "array": np.array,
    "float32": lambda v: np.array(v, np.float32),
    "big-endian": lambda v: np.array(v, ">f8"),
    "long double": lambda v: np.array(v, np.longdouble),
    "half": lambda v: torch.tensor(v, dtype=torch.bfloat16),
    "negative stride": lambda v: np.array(v[::-1])[::-1],
    "every second": lambda v: np.repeat(np.array(v), 2)[::2],
    "read only": lambda v: np.frombuffer(np.array(v).tobytes()),
    "sparse tensor": lambda v: torch.tensor(v).to_sparse(),
    "of objects": lambda v: np.array(v, object),
    "with a graph": lambda v: torch.tensor(v, requires_grad=True) * 1,
    "in Fortran's order": lambda v: np.asfortranarray(np.array([v, v]))[0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array_gives_the_same(kind):
    v = KINDS[kind](TABLE)
    expected = torch.tensor(TABLE, dtype=torch.float64)
    assert torch.equal(numbers(v, "v").double(), expected)
    assert torch.allclose(bq.zeta(bq.moebius(v)).double().detach(), expected)
    assert torch.equal(bq.decompose(v, "and").values, bq.decompose(expected, "and").values)
    assert torch.equal(bq.decompose(v).values, bq.decompose(expected).values)
    found = bq.preserved_bounds(v, v, entries=2)
    assert found.share.item() == pytest.approx(1)
    assert found.converged.all()
    masks = np.array([[i >> p & 1 for p in range(3)] for i in range(8)], bool)
    for given in (
        masks,
        masks.tolist(),
        masks.astype(int),
        masks.astype(">i2"),
        torch.tensor(masks).to_sparse(),
    ):
        fitted = bq.fit(given, v, order=np.int64(2), resamples=0)
        assert torch.equal(
            fitted.reconstruct(given), bq.fit(masks, expected, 2, resamples=0).reconstruct(masks)
        )


def test_whole_numbers_are_numbers():
    for dtype in (np.int8, np.uint8, ">i4", np.uint16, np.uint64, torch.int32):
        v = torch.tensor([0, 1, 2, 5], dtype=dtype) if dtype is torch.int32 else np.array([0, 1, 2, 5], dtype)
        assert bq.moebius(v).tolist() == [0, 1, 2, 2]
        assert bq.decompose(v, "or").total.item() == 5


def test_sparse_arrays_of_scipy():
    rows = scipy.sparse.csr_matrix([[0.0, 0, 0, 2], [0, 1, 0, 0]])
    assert bq.moebius(rows).tolist() == [[0, 0, 0, 2], [0, 1, 0, -1]]


@pytest.mark.parametrize(
    ("v", "message"),
    [
        (np.array(TABLE) + 1j, "v: complex numbers"),
        (torch.tensor(TABLE) + 1j, "v: complex numbers"),
        ([[1, 2], [3]], "v: .*give numbers of one shape"),
        (["a", "b"], "v: <U1 given; give numbers"),
        ("abcd", "v: 'abcd'; give numbers, as a tensor"),
        (None, "v: None; give numbers, as a tensor"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "v: some entries are masked out"),
        (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), "v: datetime64.* given; give numbers"),
        (torch.empty(4, device="meta"), "v: a tensor without numbers"),
        ([1.0, float("nan"), 0, 0], r"v: nan at index \(1,\); give finite values"),
        ([1.0, None, 0, 0], r"v: nan at index \(1,\)"),
        (np.array([[0, 1], [np.inf, 1]]), r"v: inf at index \(1, 0\)"),
        ([1.0, 2.0, 3.0], "has length 3; give 2"),
    ],
)
def test_what_is_no_number_is_refused_by_its_place(v, message):
    with pytest.raises(bq.BequeathError, match=message) as caught:
        bq.decompose(v)
    assert "\n" not in str(caught.value)


def test_values_and_masks_of_a_fit_are_refused_by_name():
    masks = bq.draw_masks(4, 16)
    values = masks.double().sum(1)
    for bad, message in (
        (values + 1j, "values: complex"),
        (values.where(values < 4, torch.nan), r"values: nan at index \(1,\)"),
        (values[:-1], "for 16 masks"),
        (1.7e308 * (1 - 2 * (values > 2).double()), "values: up to 1.7e.308: their differences overflow"),
    ):
        with pytest.raises(bq.BequeathError, match=message):
            bq.fit(masks, bad)
    with pytest.raises(bq.BequeathError, match="masks: 2 given; give true and false, or 1 and 0"):
        bq.fit(masks.int() * 2, values)
    with pytest.raises(bq.BequeathError, match=r"masks: 0\.5 given"):
        bq.fit(masks * 0.5, values)


@pytest.mark.parametrize("number", [3, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_kind(number):
    assert whole(number, "n", 1, 5) == 3
    assert type(whole(number, "n", 1)) is int
    assert torch.equal(bq.draw_masks(number, 8, seed=number), bq.draw_masks(3, 8, seed=3))


@pytest.mark.parametrize("number", [3.0, "3", None, True, np.nan, torch.tensor([1, 2]), np.bool_(True)])
def test_what_is_no_whole_number(number):
    with pytest.raises(bq.BequeathError, match=r"n: .*; give a whole number from 1 to 5"):
        whole(number, "n", 1, 5)


def test_arguments_out_of_range_are_told_before_any_work():
    for call, message in (
        (lambda: bq.draw_masks(60, 10**15), "memory: .* masks need about"),
        (lambda: bq.draw_masks(4, 8, seed=-1), "seed: -1; give a whole number of 0 or more"),
        (lambda: bq.draw_masks(300), "players: 300 given; sparse readings take 1 to 256"),
        (lambda: bq.draw_masks(4, 8.5), "masks: 8.5; give a whole number"),
        (lambda: bq.decompose([0, 1, 2, 3], max_iterations=0), "max_iterations: 0"),
        (lambda: bq.compare(before=[1.0], after=[2.0]), "before: a list given; give Interactions"),
        (lambda: flags([0, 1, 2], "x"), "x: 2 given"),
    ):
        with pytest.raises(bq.BequeathError, match=message):
            call()
    assert bq.draw_masks(60, 100).shape == (100, 60)


def test_interactions_of_arrays_and_their_masks():
    made = bq.Interactions(np.array([0, 1, 2, 3.0]), [0, 0, 0, 1], 5, ("a", "b"))
    assert made.reconstruct().tolist() == [5, 6 + 1, 7 + 1, 5 + 1 + 2 + 3 + 1]
    for masks in ([1, 3], np.array([1, 3], ">i4"), [[1, 0], [1, 1]], np.array([[True, False], [True, True]])):
        assert made.reconstruct(masks).tolist() == [7, 12]
    bad = (([1.0, 3.0], "torch.float64 of shape"), ([[1, 2]], "masks: 2 given"), ([4], "masks: 4 given"))
    for masks, message in bad:
        with pytest.raises(bq.BequeathError, match=message):
            made.reconstruct(masks)
