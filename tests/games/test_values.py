"""Value functions, against arithmetic with 60 digits."""

import mpmath
import pytest
import torch
from torch import nn

import bequeath as bq

VALUES = bq.values
CLASSES = 5


def exactly(function, logits):
    """A function of a row of exact numbers, for each row of float32 logits."""
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(z) for z in row] for row in logits.tolist()]
        return torch.tensor([float(function(row)) for row in rows], dtype=torch.float64)


def log_odds(row, label):
    return row[label] - mpmath.log(sum(mpmath.exp(z) for i, z in enumerate(row) if i != label))


def log_probability(row, label):
    return row[label] - mpmath.log(sum(mpmath.exp(z) for z in row))


def strongest_margin(row, label):
    return row[label] - max(z for i, z in enumerate(row) if i != label)


CASES = [
    (VALUES.log_odds, log_odds),
    (VALUES.next_token, log_odds),
    (VALUES.log_probability, log_probability),
    (VALUES.logit, lambda row, label: row[label]),
    (VALUES.label_logit, lambda row, label: row[label]),
    (VALUES.margin, strongest_margin),
    (
        lambda label: VALUES.margin(label, (label + 2) % CLASSES),
        lambda row, i: row[i] - row[(i + 2) % CLASSES],
    ),
]
IDS = ["log_odds", "next_token", "log_probability", "logit", "label_logit", "margin", "margin to"]
torch.manual_seed(0)
LOGITS = torch.cat(
    (
        torch.randn(4, CLASSES) * 3,
        torch.tensor(
            [[200.0, 0, 0, 0, 0], [-200, 200, 0, 0, 0], [-200] * 5, [200] * 5, [-200, 200, 200, 200, 200]]
        ),
        200 + torch.rand(3, CLASSES),
        torch.rand(3, CLASSES) * 1e-4 - 200,
    )
)


@pytest.mark.parametrize(("value", "function"), CASES, ids=IDS)
@pytest.mark.parametrize("label", range(3))
def test_values_are_exact_at_large_logits_too(value, function, label):
    got = value(label)(LOGITS)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, exactly(lambda row: function(row, label), LOGITS), atol=1e-13, rtol=1e-14)


@pytest.mark.parametrize(("label", "sign"), [(1, 1), (0, -1)])
def test_the_binary_logit_is_the_log_odds_of_either_label(label, sign):
    z = torch.tensor([[200.0], [-200.0], [0.3]])
    assert torch.equal(VALUES.binary_logit(label)(z), sign * z[:, 0].double())
    both = torch.cat((torch.zeros_like(z), z), 1)
    assert torch.equal(VALUES.binary_logit(label)(z), VALUES.log_odds(label)(both))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_read_in_double(dtype):
    z = torch.tensor([[9.0, 8.0, -7.0]], dtype=dtype)
    for value in (VALUES.log_odds(0), VALUES.log_probability(0), VALUES.margin(0), VALUES.logit(0)):
        assert torch.equal(value(z), value(z.double()))


@pytest.mark.parametrize("label", [3, -1])
@pytest.mark.parametrize("name", ["log_odds", "log_probability", "logit", "margin", "next_token"])
def test_a_label_beyond_the_classes_is_refused(name, label):
    with pytest.raises(bq.BequeathError, match=f"{name}: label {label} with a model of 3 classes"):
        getattr(VALUES, name)(label)(torch.zeros(1, 3))


@pytest.mark.parametrize("name", ["log_odds", "log_probability", "logit", "margin", "next_token"])
def test_a_single_output_is_refused(name):
    with pytest.raises(bq.BequeathError, match=f"{name}: the model gives 1 output; .* binary_logit"):
        getattr(VALUES, name)(0)(torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VALUES.margin(0, 3)(torch.zeros(1, 3)), "margin: label 3"),
        (lambda: VALUES.margin(1, 1), "label and other are both 1"),
        (lambda: VALUES.binary_logit(2), "label 2; give 0 or 1"),
        (lambda: VALUES.binary_logit()(torch.zeros(1, 2)), "gives 2 outputs, not 1; use log_odds"),
        (lambda: VALUES.label_logit(2)(torch.zeros(1, 2)), "label 2 with a model of 2 labels"),
        (lambda: VALUES.label_logit(-1)(torch.zeros(1, 2)), "label -1"),
    ],
)
def test_bad_labels_are_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


def played(value):
    return bq.Game(nn.Linear(3, 4), torch.randn(3), bq.players.columns(), bq.baselines.zero(), value, "row 7")


def certainty(logits):
    p = logits.double().softmax(1)
    return (p * p.log()).sum(1)


def test_a_value_function_of_ones_own():
    game = played(certainty)
    with torch.inference_mode():
        p = game.model(game.masked.inputs(torch.tensor([[True, False, True]]))).double().softmax(1)[0]
    expected = -torch.distributions.Categorical(p).entropy()
    torch.testing.assert_close(game.table()[5], expected)


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (lambda z: z, r"\(8, 4\)"),
        (lambda z: z[:, :1], r"\(8, 1\)"),
        (lambda z: z.sum(), r"\(\)"),
        (lambda z: z[1:, 0], r"\(7,\)"),
        (lambda z: z[:, 0].tolist(), "list"),
        (lambda z: None, "NoneType"),
    ],
)
def test_values_of_another_shape_are_refused(value, given):
    with pytest.raises(bq.BequeathError, match=f"row 7: the value function returns .*{given} for 8 rows"):
        played(value).table()
