"""Whether what a model gives are logits, and the same for the same input."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bequeath.errors import BequeathError
from bequeath.games.inputs import logits
from bequeath.models import check_outputs


class Net(nn.Module):
    """A small network whose end is given."""

    def __init__(self, end, outputs=3, inner=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 6, 3, stride=2), nn.Linear(54, outputs)
        self.end, self.inner = end, inner

    def forward(self, x):
        x = F.adaptive_avg_pool2d(F.relu(self.conv(x)), 3).flatten(1)
        return self.end(self.fc(self.inner(x)))


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def _two_columns(z: Tensor) -> Tensor:
    p = z[:, :1].sigmoid()
    return torch.cat((1 - p, p), 1)


@pytest.mark.parametrize(
    ("end", "outputs"),
    [
        (lambda z: z.softmax(1), 3),
        (lambda z: z.exp() / z.exp().sum(1, keepdim=True), 3),
        (lambda z: z.log_softmax(1).exp(), 3),
        (_two_columns, 3),
        (lambda z: z.sigmoid(), 1),
        (lambda z: z.sigmoid(), 4),
        (lambda z: z.squeeze(1).sigmoid()[:, None].clone(), 1),
        (lambda z: 1 / (1 + (-50 * z).exp()), 1),
        (lambda z: torch.tanh(50 * z) / 2 + 0.5, 2),
    ],
)
def test_probabilities_are_refused(end, outputs, pictures):
    net = Net(end, outputs)
    gives = logits(net, pictures).shape[1]
    with pytest.raises(BequeathError, match=r"after: its outputs are probabilities .* logits are needed"):
        check_outputs(net, pictures, gives, "after")
    check_outputs(net, pictures, gives, "after", as_logits=False)
    for one in net.parameters():
        one.requires_grad_(False)
    with pytest.raises(BequeathError, match="probabilities"):
        check_outputs(net, pictures, gives, "after")
    assert not any(one.requires_grad for one in net.parameters())


@pytest.mark.parametrize(
    ("end", "outputs"),
    [
        (lambda z: z, 3),
        (lambda z: z.log_softmax(1), 3),
        (lambda z: 0.01 * z + 0.5, 1),  # weak logits that happen to lie within 0 and 1
        (lambda z: 0.01 * z + 0.3, 3),
        (lambda z: 0 * z, 2),  # dead
        (lambda z: F.relu(z) * 0.1, 3),
        (lambda z: F.logsigmoid(z), 2),
    ],
)
def test_logits_are_taken(end, outputs, pictures):
    check_outputs(Net(end, outputs), pictures, outputs, "after")


@pytest.mark.parametrize("p", [0.5, 0.02])
def test_dropout_in_eval_mode_is_refused(p, pictures):
    net = Net(lambda z: z, inner=lambda x: F.dropout(x, p))
    with pytest.raises(BequeathError, match=r"after: the same input gives .* dropout or noise"):
        check_outputs(net, pictures, 3, "after")
    check_outputs(Net(lambda z: z, inner=lambda x: F.dropout(x, p, training=False)), pictures, 3, "after")


def test_noise_and_memory_are_refused(pictures):
    net = Net(lambda z: z + 0.1 * torch.randn_like(z))
    with pytest.raises(BequeathError, match="the same input gives"):
        check_outputs(net, pictures, 3, "after")
    calls = []

    def tired(z):
        calls.append(1)
        return z * 0.9 ** len(calls)

    with pytest.raises(BequeathError, match="the same input gives"):
        check_outputs(Net(tired), pictures, 3, "after")


def test_normalisation_over_the_batch_is_refused(pictures):
    net = Net(lambda z: z, inner=lambda x: x - x.mean(0))
    with pytest.raises(BequeathError, match=r"alone and .* beside others; normalisation over the batch"):
        check_outputs(net, pictures, 3, "after")

    class StaysInTraining(Net):
        def __init__(self):
            super().__init__(lambda z: z)
            self.norm = nn.BatchNorm2d(6)

        def train(self, mode=True):
            return super().train(True)

        def forward(self, x):
            x = F.adaptive_avg_pool2d(self.norm(F.relu(self.conv(x))), 3).flatten(1)
            return self.fc(x)

    with pytest.raises(BequeathError, match="beside others"):
        check_outputs(StaysInTraining(), pictures, 3, "after")
