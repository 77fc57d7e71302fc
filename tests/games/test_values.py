import math

import pytest
import torch

import bequeath as bq


def test_log_odds_agree_with_probabilities():
    logits = torch.randn(5, 4, dtype=torch.float64)
    p = logits.softmax(1)[:, 2]
    torch.testing.assert_close(bq.values.log_odds(2)(logits), (p / (1 - p)).log())


def test_log_odds_stay_exact_where_the_probability_rounds_to_one():
    logits = torch.tensor([[200.0, 0.0, -200.0], [-200.0, 200.0, 0.0]])
    got = bq.values.log_odds(0)(logits)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, torch.tensor([200.0, -400.0], dtype=torch.float64))


def test_log_probability_and_logit():
    logits = torch.tensor([[1.0, 3.0]])
    assert bq.values.logit(1)(logits).item() == 3.0
    assert bq.values.log_probability(0)(logits).item() == pytest.approx(-math.log(1 + math.e**2))


@pytest.mark.parametrize("value", [bq.values.log_odds, bq.values.log_probability, bq.values.logit])
def test_a_label_beyond_the_classes_is_refused(value):
    with pytest.raises(bq.BequeathError, match="label 3 with a model of 3 classes"):
        value(3)(torch.zeros(1, 3))
    with pytest.raises(bq.BequeathError, match="gives 1 output"):
        value(0)(torch.zeros(1, 1))
