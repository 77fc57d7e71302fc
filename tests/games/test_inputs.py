"""How logits are read from the output of a model."""

from types import SimpleNamespace

import pytest
import torch
from tiny_texts import byte_level, tiny
from torch import nn

import bequeath as bq
from bequeath.games.inputs import logits


class Language(nn.Module):
    """Its logits at a position are the row and the position."""

    def forward(self, input_ids, attention_mask=None):
        rows, positions = torch.meshgrid(*(torch.arange(n) for n in input_ids.shape), indexing="ij")
        return SimpleNamespace(logits=torch.stack((rows, positions), -1).float())


class KeepsLast(Language):
    """The same; on request it computes the last logits only."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def forward(self, input_ids, attention_mask=None, logits_to_keep=0):
        self.kept.append(logits_to_keep)
        return SimpleNamespace(logits=super().forward(input_ids).logits[:, -logits_to_keep:])


MASKS = [
    ([[1, 1, 1, 1], [1, 1, 1, 1]], [3, 3]),
    ([[1, 1, 0, 0], [1, 1, 1, 1]], [1, 3]),  # padded on the right
    ([[1, 0, 1, 0], [0, 1, 0, 0]], [2, 1]),  # holes
    ([[0, 0, 0, 1], [0, 1, 1, 1]], [3, 3]),  # padded on the left
    ([[1, 0, 0, 0], [1, 0, 0, 0]], [0, 0]),
]


@pytest.mark.parametrize(("attended", "last"), MASKS)
def test_a_language_model_is_read_at_the_last_attended_position(attended, last):
    inputs = {"input_ids": torch.zeros(2, 4, dtype=torch.int64), "attention_mask": torch.tensor(attended)}
    expected = torch.tensor([[0, last[0]], [1, last[1]]]).float()
    model = KeepsLast()
    assert torch.equal(logits(Language(), inputs), expected)
    assert torch.equal(logits(model, inputs), expected)
    assert model.kept == [1 if last == [3, 3] else 0]


def test_without_an_attention_mask_the_last_position_is_read():
    inputs = {"input_ids": torch.zeros(2, 4, dtype=torch.int64)}
    for model in (Language(), KeepsLast()):
        assert logits(model, inputs).tolist() == [[0, 3], [1, 3]]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_keeping_the_last_logits_gives_those_of_all(kind):
    tokenizer = byte_level()
    model = tiny(kind, tokenizer)
    inputs = tokenizer(
        ["the movie was good", "bad plot"], return_tensors="pt", padding=True, padding_side="right"
    )
    assert not inputs["attention_mask"].all()
    with torch.inference_mode():
        whole = model(**inputs).logits
        ends = inputs["attention_mask"].sum(1) - 1
        torch.testing.assert_close(logits(model, dict(inputs)), whole[torch.arange(2), ends])
        one = {name: value[:1, : ends[0] + 1] for name, value in inputs.items()}
        torch.testing.assert_close(logits(model, one), whole[:1, ends[0]], atol=1e-5, rtol=1e-5)


class Gives(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((torch.zeros(2, 3),), r"model Gives: returns a tuple; it must return logits"),
        ({"logits": torch.zeros(2, 3)}, "returns a dict"),
        (None, "returns a NoneType"),
        (SimpleNamespace(logits=None), "returns a SimpleNamespace"),
        (torch.zeros(2), r"output has shape \(2,\) for 2 inputs"),
        (torch.zeros(3, 2), r"output has shape \(3, 2\) for 2 inputs"),
        (torch.zeros(2, 5, 3), r"output has shape \(2, 5, 3\)"),
        (torch.zeros(2, 3, 4, 4), r"output has shape \(2, 3, 4, 4\)"),
        (SimpleNamespace(logits=torch.zeros(3, 5, 2)), r"output has shape \(3, 2\) for 2 inputs"),
    ],
)
def test_other_outputs_are_refused(output, message):
    with pytest.raises(bq.BequeathError, match=message):
        logits(Gives(output), torch.zeros(2, 4))


def test_plain_tensors_and_logits_are_taken():
    z = torch.randn(2, 3)
    assert logits(Gives(z), torch.zeros(2, 4)) is z
    assert logits(Gives(SimpleNamespace(logits=z)), torch.zeros(2, 4)) is z
