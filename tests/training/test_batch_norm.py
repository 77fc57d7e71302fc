import torch
from torch import nn

from bequeath.training.batch_norm import with_fresh_batch_norm


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def data():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    return torch.randn(64, 3, 8, 8, generator=g) + labels[:, None, None, None], labels


def test_fresh_batch_norm_statistics_are_the_plain_averages():
    model, (images, _) = tiny(), data()
    fresh = with_fresh_batch_norm(model, images.split(16))
    activations = model[0](images)
    torch.testing.assert_close(fresh[1].running_mean, activations.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert model[1].running_mean.abs().max() == 0  # the model itself is left alone
    assert not fresh.training
