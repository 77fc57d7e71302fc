"""Disturbed starts: just the third that is asked for is put back, and shuffled labels keep what they must."""

from collections import Counter

import pytest
import torch
from test_fit import Pictures, tiny
from torch import nn

import bequeath as bq
from bequeath.models.mobilenetv2 import mobilenet_v2
from bequeath.training.disturb import THIRDS, ShuffledLabels, reinitialise


def filled(model, value):
    """The model with one value everywhere, so that what was put back is seen."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(value)
    return model


def changed(model):
    return {name.rpartition(".")[0] for name, value in model.state_dict().items() if (value != 7).any()}


def test_a_third_of_the_layers_is_put_back_and_the_head_is_never():
    names, parts = [], []
    for third in THIRDS:
        model = filled(mobilenet_v2(5), 7)
        fresh = mobilenet_v2(5)
        put_back = reinitialise(model, fresh, third)
        # A fresh bias, mean or count of 0 differs from 7, too: every layer that was named has changed, and no other.
        assert changed(model) == set(put_back)
        state, source = model.state_dict(), fresh.state_dict()
        assert all(
            torch.equal(state[key], source[key]) for key in state if key.rpartition(".")[0] in put_back
        )
        names += put_back
        parts.append(len(put_back))
    every = {name.rpartition(".")[0] for name in mobilenet_v2(5).state_dict()}
    assert set(names) == every - {"classifier.1"}
    assert len(names) == len(set(names))
    assert max(parts) - min(parts) <= 1


def test_parameters_of_the_model_itself_belong_to_the_first_layers():
    class WithToken(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.randn(4))
            self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    assert reinitialise(filled(WithToken(), 7), WithToken(), "early") == [""]
    with pytest.raises(bq.BequeathError, match="has 1 layers below its head; 3 are needed"):
        reinitialise(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tiny(), "late")


def test_shuffled_labels_tell_nothing_and_keep_their_counts():
    data = Pictures(400)
    shuffled = ShuffledLabels(data, 3)
    assert Counter(shuffled.labels) == Counter(data.labels)
    agree = sum(a == b for a, b in zip(shuffled.labels, data.labels, strict=True)) / 400
    assert 0.35 < agree < 0.65
    assert shuffled.labels == ShuffledLabels(data, 3).labels != ShuffledLabels(data, 4).labels
    sample = shuffled[17]
    assert sample.label == shuffled.labels[17]
    assert torch.equal(sample.x, data[17].x)
    assert (shuffled.modality, shuffled.classes, len(shuffled)) == ("image", data.classes, 400)
    assert "shuffled" in shuffled.source
