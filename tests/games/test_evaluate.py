"""Tables of many games: the batches that the model gets, and the values."""

import itertools

import pytest
import torch
from tiny_games import VALUE, Mlp, Net, image_games, one_by_one, row_games
from tiny_texts import byte_level, tiny, wordpiece
from torch import nn

import bequeath as bq
from bequeath.games.evaluate import Evaluation, tables
from bequeath.lattice.subsets import masks


@pytest.mark.parametrize("make", [image_games, row_games])
def test_small_games_share_full_batches(make):
    games = make(10)
    expected = one_by_one(games)
    got = bq.evaluate(games, batch_size=64)
    assert games[0].model.batches == [64, 64, 32]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_texts_of_several_lengths_share_batches():
    tokenizer = wordpiece()
    model = tiny("bert", tokenizer, num_labels=3)
    batches = []
    model.register_forward_hook(lambda m, args, out: batches.append(len(out.logits)))
    texts = ["good bad film movie", "unlikely plots was terribly", "it is very goods"]
    games = [
        bq.Game(model, text, bq.players.words(tokenizer), bq.baselines.mask_token(), VALUE) for text in texts
    ]
    assert len({len(game.masked.owner) for game in games}) == 3
    alone = torch.stack([game.table() for game in games])
    batches.clear()
    got = bq.evaluate(games, batch_size=20)
    assert batches == [20, 20, 8]
    torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-5)


def test_images_of_two_sizes_do_not_share_a_batch():
    model = Net()
    games = image_games(1, model) + image_games(1, model, size=11)
    expected = [one_by_one([game])[0] for game in games]
    got = list(tables(games, Evaluation(64)))
    assert model.batches == [16, 16]
    for table, wanted in zip(got, expected, strict=True):
        torch.testing.assert_close(table, wanted, atol=1e-6, rtol=1e-6)


def test_tables_come_in_the_order_of_the_games_though_models_alternate():
    one, two = row_games(3, Mlp(1)), row_games(3, Mlp(2))
    expected = torch.stack([one_by_one([game])[0] for pair in zip(one, two, strict=True) for game in pair])
    got = bq.evaluate(itertools.chain(*zip(one, two, strict=True)), batch_size=64)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    assert len({tuple(table.tolist()) for table in got}) == 6


@pytest.mark.parametrize(("batch_size", "taken"), [(4, 1), (16, 1), (32, 2), (40, 3)])
def test_tables_come_as_soon_as_they_are_whole(batch_size, taken):
    games, seen = row_games(5), []
    found = tables((seen.append(game) or game for game in games), Evaluation(batch_size))
    next(found)
    assert len(seen) == taken
    assert len(list(found)) == 4


def test_progress_is_told_after_each_table():
    told = []
    bq.evaluate(row_games(5), 16, lambda step: told.append((step, len(told))))
    assert told == [(1, i) for i in range(5)]


def test_games_of_several_numbers_of_players_have_tables_of_several_lengths():
    model = Mlp()
    row = torch.randn(4)
    games = [
        bq.Game(model, row, bq.players.chosen(bq.players.columns(), range(n)), bq.baselines.zero(), VALUE)
        for n in (1, 4, 2)
    ]
    found = list(tables(games, Evaluation(7)))
    assert [len(table) for table in found] == [2, 16, 4]
    # Columns 2 and 3 are shown in the third game; so they are in the last quarter of the second.
    torch.testing.assert_close(found[2], found[1][12:], atol=1e-6, rtol=1e-6)


def test_players_inside_the_network_are_not_compiled():
    model = Net().eval()
    game = bq.Game(
        model, torch.randn(3, 9, 9), bq.players.positions("conv", 2, 2), bq.baselines.zero(), VALUE
    )
    with pytest.raises(bq.BequeathError, match="compile does not work with players inside the network"):
        bq.evaluate([game], compile=True)


def test_the_cpu_is_a_device():
    games = row_games(2)
    torch.testing.assert_close(bq.evaluate(games, device="cpu"), one_by_one(games), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "device: 'gpu' cannot be used .*; give cpu, or leave it out"),
        ("cuda", "device: 'cuda' cannot be used"),
    ],
)
def test_a_device_that_is_not_there_is_named(device, message):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(bq.BequeathError, match=message):
        bq.evaluate(row_games(1), device=device)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"batch_size": 0}, "batch_size: 0; give at least 1"),
        ({"memory": "4 parsecs"}, "memory: '4 parsecs'; give bytes, or a text"),
        ({"memory": 0}, "memory: 0"),
        ({"batchsize": 4}, "batchsize: no such option; there are device, memory, .*, batch_size, progress"),
    ],
)
def test_bad_arguments_are_named(more, message):
    with pytest.raises(bq.BequeathError, match=message):
        bq.evaluate(row_games(1), **more)


def test_an_unknown_option_of_a_comparison_is_named():
    with pytest.raises(
        bq.BequeathError, match=r"autocasts: no such option; there are .*, autocast, .*, seed"
    ):
        bq.effect_on_values(row_games(1)[0], autocasts="bfloat16")


class NanOn(nn.Module):
    """Returns NaN for given columns."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def forward(self, x):
        bad = (x == self.row).all(1, keepdim=True)
        return torch.where(bad, torch.nan, x[:, :3])


def test_a_nan_among_many_games_names_its_sample_and_mask():
    games = row_games(7)
    row = torch.where(torch.tensor([True, False, True, True]), games[4].masked.x, games[4].masked.hidden)
    with pytest.raises(bq.BequeathError, match="row 4: the model's value is nan on mask 1011 "):
        bq.evaluate(row_games(7, NanOn(row)), 50)


def test_a_nan_is_named_where_removal_reorders_the_masks():
    tokenizer = byte_level()
    model = tiny("gpt2", tokenizer)
    wanted = tokenizer("the movie good").input_ids

    def spoil(module, args, kwargs, out):
        for row, attended, logits in zip(
            kwargs["input_ids"], kwargs["attention_mask"], out.logits, strict=True
        ):
            if row[attended.bool()].tolist() == wanted:
                logits.fill_(torch.inf)

    model.register_forward_hook(spoil, with_kwargs=True)
    players, removal = bq.players.words(tokenizer), bq.baselines.removal()
    games = [
        bq.Game(model, text, players, removal, bq.values.logit(1), f"text {i}")
        for i, text in enumerate(("bad plot", "the movie was good"))
    ]
    with pytest.raises(bq.BequeathError, match="text 1: the model's value is inf on mask 1101 "):
        list(tables(games, Evaluation(64)))


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (torch.ones(2, 3, dtype=torch.bool), r"masks: torch.bool \(2, 3\); give bool \(masks, 4\)"),
        (torch.ones(4, dtype=torch.bool), r"masks: torch.bool \(4,\)"),
        (2 * torch.ones(2, 4), "2 given; give true and false, or 1 and 0"),
    ],
)
def test_masks_of_another_shape_are_named(shown, message):
    with pytest.raises(bq.BequeathError, match=message):
        row_games(1)[0].values(shown)


class OwnKind:
    """Players with a separate network for each sample."""

    def bind(self, x, baseline, model):
        class Own(bq.players.MaskedTensor):
            def batch_key(self):
                return id(self)

            def to(self, device):
                return self

            def network(self, model):
                return lambda inputs: model(inputs) + x[0]

        return Own(torch.arange(4), tuple("abcd"), x, baseline.for_columns(x))


def test_a_network_of_a_samples_own_is_never_taken_for_anothers():
    """Python reuses the ids of deleted games."""
    model = Mlp().eval()
    torch.manual_seed(5)
    rows = torch.randn(30, 4)

    class Gone:
        """A game that frees its sample as soon as it is started."""

        def __init__(self, game):
            self.game, self.model, self.n_players, self.name = game, game.model, 4, "gone"

        def start(self, runner):
            game, self.game = self.game, None
            return game.start(runner)

    def games():
        for row in rows:
            yield Gone(bq.Game(model, row, OwnKind(), bq.baselines.zero(), bq.values.logit(0)))

    got = torch.stack(list(tables(games(), Evaluation(16))))
    with torch.inference_mode():
        expected = torch.stack([model(masks(4) * row)[:, 0].double() + row[0].double() for row in rows])
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
