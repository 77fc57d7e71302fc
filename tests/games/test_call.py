"""Calls of user models: inputs are protected, and failures become one line."""

import pytest
import torch
from torch import nn

import bequeath as bq
from bequeath.errors import BequeathError
from bequeath.games.baselines import own_padding
from bequeath.games.inputs import call, in_eval_mode, logits

TEXT = {
    "input_ids": torch.tensor([[1, 2, 3]]),
    "attention_mask": torch.ones(1, 3),
    "token_type_ids": torch.zeros(1, 3),
}


class InPlace(nn.Module):
    """Changes its input in place."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, stride=2), nn.Linear(4, 2)

    def forward(self, x):
        x.sub_(0.7).mul_(3)
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Plain(InPlace):
    """The same without changing its input."""

    def forward(self, x):
        return self.fc(self.conv((x - 0.7) * 3).relu().mean((2, 3)))


@pytest.mark.parametrize("where", ["image", "inside"])
def test_changes_in_place_do_no_harm(where):
    torch.manual_seed(0)
    harmful, plain = InPlace(), Plain()
    plain.load_state_dict(harmful.state_dict())
    x = torch.rand(3, 12, 12)
    kept = x.clone()
    players = bq.players.grid(2, 2) if where == "image" else bq.players.positions("conv", 2, 2)
    tables = [
        bq.Game(model, x, players, bq.baselines.zero(), bq.values.log_odds(1)).table(batch_size=3)
        for model in (harmful, plain)
    ]
    torch.testing.assert_close(tables[0], tables[1])
    assert torch.equal(x, kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inputs_have_the_models_own_precision(dtype):
    torch.manual_seed(0)
    single, own = Plain(), Plain()
    own.load_state_dict(single.state_dict())
    own.to(dtype)
    x = torch.rand(2, 3, 12, 12)
    assert logits(own, x).dtype == dtype
    torch.testing.assert_close(logits(own, x).float(), logits(single, x), atol=0.05, rtol=0)


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 2)

    def forward(self, input_ids, attention_mask):
        return self.table(input_ids).mean(1)


def test_a_text_model_gets_what_its_forward_takes():
    model = Text()
    assert torch.equal(logits(model, TEXT), model.table(TEXT["input_ids"]).mean(1))

    class Any_(Text):
        def forward(self, **given):
            self.given = sorted(given)
            return self.table(given["input_ids"]).mean(1)

    model = Any_()
    logits(model, TEXT)
    assert model.given == ["attention_mask", "input_ids", "token_type_ids"]


class Two(Plain):
    def forward(self, x, lengths):
        return super().forward(x)


class NeedsMore(Text):
    def forward(self, input_ids, lengths):
        return super().forward(input_ids, None)


class Sized(Plain):
    def forward(self, x):
        return self.fc(x.flatten(1))


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (
            Two(),
            torch.rand(2, 3, 9, 9),
            r"fails on float32 \(2, 3, 9, 9\): TypeError.*takes x, lengths, and gets one",
        ),
        (Plain(), torch.rand(2, 1, 9, 9), r"its first convolution \(conv\) takes 3 channels"),
        (nn.Sequential(nn.Conv2d(1, 2, 3)), torch.rand(2, 3, 9, 9), "mean and std of one value each"),
        (Sized(), torch.rand(2, 3, 9, 9), r"another size \(data: size\)"),
        (NeedsMore(), TEXT, r"input_ids int64 \(1, 3\).*; it needs lengths, and gets input_ids"),
        (
            Text(),
            TEXT | {"input_ids": torch.tensor([[9]])},
            "IndexError.*; the text may be longer, or a token's number larger",
        ),
    ],
)
def test_a_forward_pass_that_fails_says_on_what_and_what_to_do(model, inputs, message):
    with pytest.raises(BequeathError, match=message) as caught:
        call(model, inputs)
    assert "\n" not in str(caught.value)
    assert type(model).__name__ in str(caught.value)


def test_memory_that_runs_out_is_left_to_who_can_do_something_about_it():
    class Hungry(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        call(Hungry(), torch.rand(1, 3))


class ReturnsNothing(Plain):
    def train(self, mode=True):
        super().train(mode)


class Refuses(Plain):
    def eval(self):
        raise RuntimeError("no eval\nhere")


def test_eval_may_return_nothing_and_failing_it_is_one_line():
    model = ReturnsNothing()
    assert in_eval_mode(model) is model
    assert not model.training
    with pytest.raises(BequeathError, match=r"^model Refuses: eval\(\) fails: RuntimeError: no eval$"):
        in_eval_mode(Refuses())


def test_a_config_of_any_kind_is_none_of_ours():
    class Odd(Text):
        @property
        def config(self):
            raise RuntimeError("not yet")

    assert own_padding(Odd()) is None
    model = Text()
    model.config = {"pad_token_id": 3}
    assert own_padding(model) is None
