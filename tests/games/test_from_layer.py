"""Players inside the network, against a forward hook that replaces the output of the layer in each pass."""

import pytest
import torch
from torch import nn

import bequeath as bq
from bequeath.games.from_layer import Resumed, output_at
from bequeath.lattice.subsets import masks


class Block(nn.Module):
    """With a skip connection around two convolutions, the second of which works in place."""

    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.b(self.act(self.a(x)))
        out += x
        return self.act(out)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(True))
        self.one, self.two = Block(6), Block(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.two(self.one(self.stem(x))).mean((2, 3)))


class Dense(nn.Module):
    """Joins early and late features along channels, so one recorded sample does not fit a batch after the layer."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
        self.head = nn.Linear(10, 4)

    def forward(self, x):
        early = self.a(x)
        return self.head(torch.cat((early, self.b(early).relu()), 1).mean((2, 3)))


class Tokens(nn.Module):
    """A small vision transformer: patches, a class token, one layer of attention."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.cls.expand(len(x), -1, -1), tokens), 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


def by_hook(model, layer, x, keep, hidden):
    """Values of the whole model on the repeated sample, with hidden parts of the layer's output replaced."""
    replace = lambda module, args, output: torch.where(keep, output, hidden)  # noqa: E731
    handle = model.get_submodule(layer).register_forward_hook(replace)
    with torch.inference_mode():
        logits = model(x.expand(len(keep), *x.shape))
    handle.remove()
    return bq.values.log_odds(1)(logits)


def cell_masks(height, width, rows, cols):
    row = torch.arange(height) * rows // height
    col = torch.arange(width) * cols // width
    return masks(rows * cols)[:, row[:, None] * cols + col]


CASES = [
    (Residual, "stem", (2, 3)),
    (Residual, "one", (2, 2)),
    (Residual, "two.a", (2, 2)),  # inside a branch: the skip connection carries the sample as it is
    (Residual, "two.b", (3, 2)),
    (Dense, "b", (2, 2)),
    (Dense, "a", (2, 2)),
    (Tokens, "patches", (2, 2)),
]


@pytest.mark.parametrize(("net", "layer", "shape"), CASES)
def test_positions_agree_with_a_hook(net, layer, shape):
    torch.manual_seed(0)
    model, x = net().eval(), torch.randn(3, 16, 16)
    game = bq.Game(model, x, bq.players.positions(layer, *shape), bq.baselines.mean(), bq.values.log_odds(1))
    features = output_at(model, layer, x[None]).detach()
    keep = cell_masks(*features.shape[2:], *shape)[:, None]
    expected = by_hook(model, layer, x, keep, features.mean((2, 3), keepdim=True))
    torch.testing.assert_close(game.table(), expected, atol=1e-5, rtol=1e-5)
    assert game.table().std() > 1e-3


def test_positions_of_tokens_leave_the_class_token():
    torch.manual_seed(0)
    model, x = Tokens().eval(), torch.randn(3, 16, 16)
    game = bq.Game(
        model, x, bq.players.positions("blocks.0", 2, 2), bq.baselines.zero(), bq.values.log_odds(1)
    )
    square = cell_masks(4, 4, 2, 2).flatten(1)
    keep = torch.cat((torch.ones(16, 1, dtype=torch.bool), square), 1)[..., None]
    expected = by_hook(model, "blocks.0", x, keep, torch.tensor(0.0))
    torch.testing.assert_close(game.table(), expected, atol=1e-5, rtol=1e-5)
    assert game.player_names == ("r1c1", "r1c2", "r2c1", "r2c2")


@pytest.mark.parametrize(("net", "layer"), [(Residual, "one"), (Tokens, "blocks.0"), (Residual, "head")])
def test_channels_agree_with_a_hook(net, layer):
    torch.manual_seed(0)
    model, x = net().eval(), torch.randn(3, 16, 16)
    game = bq.Game(model, x, bq.players.channels(layer, 3), bq.baselines.zero(), bq.values.logit(1))
    features = output_at(model, layer, x[None])
    axis = 1 if features.ndim != 3 else 2
    group = torch.arange(features.shape[axis]) * 3 // features.shape[axis]
    shape = [-1 if a == axis else 1 for a in range(1, features.ndim)]
    keep = masks(3)[:, group].reshape(8, *shape)
    handle = model.get_submodule(layer).register_forward_hook(lambda m, a, out: torch.where(keep, out, 0.0))
    with torch.inference_mode():
        expected = model(x.expand(8, -1, -1, -1))[:, 1].double()
    handle.remove()
    torch.testing.assert_close(game.table(), expected, atol=1e-5, rtol=1e-5)


def test_what_lies_before_the_layer_runs_once_and_hooks_and_forwards_are_left_as_they_were():
    torch.manual_seed(0)
    model, x = Residual().eval(), torch.randn(3, 16, 16)
    game = bq.Game(model, x, bq.players.positions("one", 2, 2), bq.baselines.zero(), bq.values.log_odds(0))
    seen = []
    handle = model.stem[0].register_forward_hook(lambda m, args, out: seen.append(len(out)))
    convolved = []
    original = model.stem[0]._conv_forward
    model.stem[0]._conv_forward = lambda *a: convolved.append(1) or original(*a)
    game.table()
    assert not convolved
    handle.remove()
    assert all("forward" not in vars(module) for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_data_sets_mean_feature_map_is_a_baseline_and_follows_the_weights():
    torch.manual_seed(0)
    model, data = Residual().eval(), torch.randn(70, 3, 16, 16)
    baseline = bq.baselines.dataset_mean(data)
    for _ in range(2):
        with torch.inference_mode():
            expected = output_at(model, "one", data).mean(0)
        masked = bq.players.positions("one", 2, 2).bind(data[0], baseline, model)
        torch.testing.assert_close(masked.hidden, expected, atol=1e-5, rtol=1e-5)
        with torch.no_grad():
            model.stem[0].weight.mul_(2)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(self.conv(x)).mean((2, 3))


@pytest.mark.parametrize(
    ("model", "players", "message"),
    [
        (Residual, bq.players.positions("stam", 2, 2), r"layer 'stam': no such module in Residual; .*stem"),
        (Twice, bq.players.positions("conv", 2, 2), "called 2 times"),
        (Twice, bq.players.positions("unused", 2, 2), "called 0 times"),
        (Residual, bq.players.positions("head", 2, 2), "not a feature map .* give an earlier layer"),
        (Residual, bq.players.positions("one", 9, 2), "9 x 2 cells on the 8 x 8 positions of layer 'one'"),
        (Residual, bq.players.channels("one", 7), "7 groups of the 6 channels"),
    ],
)
def test_what_does_not_fit_is_named(model, players, message):
    with pytest.raises(bq.BequeathError, match=message):
        bq.Game(model().eval(), torch.randn(3, 16, 16), players, bq.baselines.zero(), bq.values.logit(0))


def test_a_text_is_no_feature_input_and_blur_no_feature_baseline():
    model = Residual().eval()
    with pytest.raises(bq.BequeathError, match="a tensor, or a mapping"):
        bq.Game(model, "text", bq.players.positions("one", 2, 2), bq.baselines.zero(), bq.values.logit(0))
    with pytest.raises(bq.BequeathError, match=r"blur: does not fit feature-map players \(it fits images\)"):
        bq.Game(
            model,
            torch.randn(3, 8, 8),
            bq.players.positions("one", 2, 2),
            bq.baselines.blur(),
            bq.values.logit(0),
        )


def test_resuming_twice_gives_the_same_though_layers_work_in_place():
    torch.manual_seed(0)
    model, x = Residual().eval(), torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        resumed = Resumed(model, "two.b", x)
        first, second = (resumed(resumed.features.clone()) for _ in range(2))
        torch.testing.assert_close(first, model(x), atol=1e-6, rtol=1e-6)
    assert torch.equal(first, second)
