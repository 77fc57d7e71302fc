import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import bequeath as bq
from bequeath.training.batch_norm import with_fresh_batch_norm
from bequeath.training.checkpoints import log_spaced


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def data():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    return torch.randn(64, 3, 8, 8, generator=g) + labels[:, None, None, None], labels


def test_log_spaced_steps():
    assert log_spaced(1, 1000, 4) == [1, 10, 100, 1000]
    assert log_spaced(1, 3, 10) == [1, 2, 3]
    assert log_spaced(5, 5, 3) == [5]
    with pytest.raises(bq.BequeathError, match="1 <= first <= last"):
        log_spaced(10, 3, 2)


def test_fresh_batch_norm_statistics_are_the_plain_averages():
    model, (images, _) = tiny(), data()
    fresh = with_fresh_batch_norm(model, images.split(16))
    activations = model[0](images)
    torch.testing.assert_close(fresh[1].running_mean, activations.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert model[1].running_mean.abs().max() == 0  # the model itself is left alone
    assert not fresh.training


def test_training_learns_saves_and_repeats_itself(tmp_path):
    from bequeath.training.vision import Schedule, train_images

    images, labels = data()
    ticks = []
    for name in ("a", "b"):
        model = tiny()
        train_images(
            model,
            images,
            labels,
            Schedule(20, 1e-2, 16, checkpoints=2, first_checkpoint=5),
            tmp_path / name,
            seed=3,
            progress=ticks.append,
        )
    assert ticks == [1] * 40
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "series.json",
        "step-000005.safetensors",
        "step-000020.safetensors",
    ]
    first, second = (load_file(tmp_path / name / "step-000020.safetensors") for name in ("a", "b"))
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    trained = tiny()
    trained.load_state_dict(first)
    accuracy = (trained.eval()(images).argmax(1) == labels).float().mean()
    assert accuracy > 0.9


def test_classes_take_turns_for_the_batch_norm_statistics():
    from bequeath.training.vision import by_turns

    assert by_turns(torch.tensor([0, 0, 0, 1, 1, 2])).tolist() == [0, 3, 5, 1, 4, 2]
    # An order that is balanced already stays as it is.
    assert by_turns(torch.tensor([2, 0, 1, 1, 0, 2])).tolist() == [0, 1, 2, 3, 4, 5]
