"""Training loops: they learn, repeat themselves, go on where they broke off, and train only what they are to."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import bequeath as bq
from bequeath.data import Sample
from bequeath.models import checkpoint_series, mlp
from bequeath.training import parts
from bequeath.training.fit import augmented, by_turns, fit
from bequeath.training.schedule import Schedule


class Pictures:
    """Noise, brighter for class 1."""

    modality, classes, source = "image", ("dark", "bright"), "a test"

    def __init__(self, count=64, size=8):
        generator = torch.Generator().manual_seed(0)
        self.labels = tuple(i % 2 for i in range(count))
        self.ids = [str(i) for i in range(count)]
        self._x = torch.randn(count, 3, size, size, generator=generator)
        self.read = []

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        self.read.append(i)
        return Sample(str(i), self._x[i] + self.labels[i], self.labels[i], None)


def tiny(outputs=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(4 * 36, 8),
        nn.Linear(8, outputs),
    )


def accuracy(model, data):
    x = torch.stack([data[i].x for i in range(len(data))])
    out = model.eval()(x)
    found = (out[:, 0] > 0).long() if out.shape[1] == 1 else out.argmax(1)
    return (found == torch.tensor(data.labels)).float().mean().item()


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns_saves_and_repeats_itself(tmp_path, outputs, optimizer):
    data = Pictures()
    ticks = []
    for name in ("a", "b"):
        model = tiny(outputs)
        schedule = Schedule(40, 0.02, 16, optimizer, checkpoints=3, first_checkpoint=5)
        fit(model, data, schedule, tmp_path / name, 3, ticks.append, architecture="my:net")
    assert sum(ticks) == 80
    assert [step for _, step, _ in checkpoint_series(tmp_path / "a", "here")] == [5, 14, 40]
    assert not (tmp_path / "a/unfinished").exists()
    first, second = (load_file(tmp_path / name / "step-000040.safetensors") for name in ("a", "b"))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    trained = tiny(outputs)
    trained.load_state_dict(first)
    assert accuracy(trained, data) > 0.9
    assert len(data.read) < 2 * (64 + 40) + 64  # read once, and for the check


def test_another_seed_is_another_run(tmp_path):
    ends = []
    for seed in (0, 1):
        fit(tiny(), Pictures(), Schedule(4, 0.01, 16, checkpoints=1), tmp_path / str(seed), seed)
        ends.append(load_file(tmp_path / str(seed) / "step-000004.safetensors"))
    assert not torch.equal(ends[0]["0.weight"], ends[1]["0.weight"])


@pytest.mark.parametrize("broken_at", [1, 7, 19])
def test_a_run_that_broke_off_goes_on_to_the_same_weights(tmp_path, broken_at):
    schedule = Schedule(30, 0.01, 16, augment="crop", checkpoints=8)
    fit(tiny(), Pictures(), schedule, tmp_path / "whole", 3)
    done = []

    def tick(steps):
        done.append(steps)
        if len(done) == broken_at:
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        fit(tiny(), Pictures(), schedule, tmp_path / "broken", 3, tick)
    told = []
    torch.manual_seed(99)
    fit(tiny(), Pictures(), schedule, tmp_path / "broken", 3, told.append)
    assert sum(told) == 30
    assert told[0] == (broken_at - 1) // 3 * 3 or broken_at == 1  # what is kept is at most a tenth behind
    whole, broken = (checkpoint_series(tmp_path / name, "here") for name in ("whole", "broken"))
    assert [step for _, step, _ in whole] == [step for _, step, _ in broken]
    for (_, _, a), (_, _, b) in zip(whole, broken, strict=True):
        first, second = load_file(a), load_file(b)
        assert all(torch.equal(value, second[key]) for key, value in first.items()), a


def test_rows_are_trained_on_as_well(tmp_path):
    class Rows(Pictures):
        kind = "table"

        def __getitem__(self, i):
            return Sample(str(i), self._x[i].flatten()[:4] + 3 * self.labels[i], self.labels[i], None)

    model = mlp(2, num_features=4)
    fit(model, Rows(), Schedule(60, 0.01, 16), tmp_path, 0)
    assert accuracy(model, Rows()) > 0.9


def test_the_learning_rate_rises_and_falls():
    for decay, end in (("cosine", 0.0), ("linear", 0.0), ("constant", 1.0)):
        schedule = Schedule(100, 0.1, decay=decay, warm_up=0.2)
        factors = [schedule.factor(step) for step in range(101)]
        assert np.all(np.diff(factors[:20]) > 0)
        assert max(factors) == pytest.approx(1)
        assert factors[20] == pytest.approx(1)
        assert factors[100] == pytest.approx(end, abs=1e-9)
        assert factors[60] == pytest.approx({"constant": 1, "linear": 0.5, "cosine": 0.5}[decay])
    optimizer, _ = schedule.make(tiny())
    decayed = {group["weight_decay"]: {p.ndim for p in group["params"]} for group in optimizer.param_groups}
    assert decayed == {0.01: {2, 4}, 0.0: {1}}


def test_augmentation():
    x = torch.arange(2 * 3 * 16 * 16.0).view(2, 3, 16, 16)
    assert augmented(x, "none") is x
    torch.manual_seed(0)
    seen = {
        tuple(torch.equal(one, other) for one, other in zip(augmented(x, "flip"), x, strict=True))
        for _ in range(50)
    }
    assert len(seen) == 4
    for one, other in zip(augmented(x, "flip"), x, strict=True):
        assert torch.equal(one, other) or torch.equal(one.flip(2), other)
    shifted = augmented(x, "crop")
    assert shifted.shape == x.shape
    # The middle of a shifted picture is found in the picture, or in its mirror.
    for one, other in zip(shifted, x, strict=True):
        patch = one[:, 6:10, 6:10]
        windows = [whole.unfold(1, 4, 1).unfold(2, 4, 1) for whole in (other, other.flip(2))]
        assert any((w == patch[:, None, None]).all(-1).all(-1).all(0).any() for w in windows)
    row = torch.randn(3, 5)
    assert augmented(row, "crop") is row


def test_classes_take_turns_for_the_batch_norm_statistics():
    assert by_turns([0, 0, 0, 1, 1, 2]) == [0, 3, 5, 1, 4, 2]
    # An order that is balanced already stays as it is.
    assert by_turns([2, 0, 1, 1, 0, 2]) == [0, 1, 2, 3, 4, 5]


def test_frozen_layers_and_their_statistics_stay(tmp_path):
    model = tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts.freeze(model, "2")
    fit(model, Pictures(), Schedule(10, 0.1, 16, checkpoints=1), tmp_path, 0)
    after = load_file(tmp_path / "step-000010.safetensors")
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith(("0.", "1.")), name


def test_freeze_counts_in_the_models_own_order():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = nn.Parameter(torch.zeros(2))
            self.stem = nn.Linear(2, 2)
            self.body = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
            self.head = nn.Linear(2, 2)

    for up_to, learned in (
        ("stem", {"body.0", "body.1.0", "body.1.1", "head"}),
        ("body.0", {"body.1.0", "body.1.1", "head"}),
        ("body.1.0", {"body.1.1", "head"}),
        ("body", {"head"}),
    ):
        net = Net()
        parts.freeze(net, up_to)
        assert {name.rpartition(".")[0] for name, p in net.named_parameters() if p.requires_grad} == learned
    with pytest.raises(
        bq.BequeathError, match="freeze: no layer 'tail' in Net; give one of stem, body, head"
    ):
        parts.freeze(Net(), "tail")
    with pytest.raises(bq.BequeathError, match="nothing would be trained"):
        parts.freeze(Net(), "head")


def test_only_the_head(tmp_path):
    model = tiny()
    parts.only_heads(model)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["6.weight", "6.bias"]


def test_adapters_need_layers_of_that_name():
    with pytest.raises(bq.BequeathError, match=r"lora\.targets: \['nowhere'\]"):
        parts.with_lora(tiny(), ["nowhere"])
    model = parts.with_lora(tiny(), ["5"], rank=2)
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert learned == 2 * (144 + 8) + 8 * 2 + 2
