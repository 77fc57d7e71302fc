"""Running out of memory, memory budgets, and the search for the batch size."""

import pytest
import torch
from tiny_games import VALUE, Mlp, image_games, one_by_one, row_games
from tiny_texts import tiny, wordpiece
from torch import nn

import bequeath as bq
from bequeath.games import runner as running
from bequeath.games.evaluate import Evaluation


class OutOfMemory(Mlp):
    """Fails above a number of inputs."""

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error = most, error

    def forward(self, x):
        if len(x) > self.most:
            raise self.error
        return super().forward(x)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("batch_size", [None, 64, 5])
@pytest.mark.parametrize("most", [1, 6])
def test_memory_that_runs_out_lowers_the_batch(error, batch_size, most):
    games = row_games(6, OutOfMemory(most, error))
    expected = one_by_one(games)
    got = bq.evaluate(games, batch_size)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    assert max(games[0].model.batches) <= most
    assert sum(games[0].model.batches) == 96


def test_a_text_too_long_for_the_batch_of_shorter_ones_lowers_it():
    tokenizer = wordpiece()
    model = tiny("bert", tokenizer, num_labels=3)
    texts = ["good bad film", "unlikely plots wasting everybody", "it is good"]
    games = [
        bq.Game(model, text, bq.players.words(tokenizer, 3), bq.baselines.removal(), VALUE) for text in texts
    ]
    alone = torch.stack([game.table() for game in games])

    def refuse(module, args, kwargs):
        if kwargs["input_ids"].numel() > 60:
            raise ERRORS[0]

    model.register_forward_pre_hook(refuse, with_kwargs=True)
    torch.testing.assert_close(bq.evaluate(games, 64), alone, atol=1e-5, rtol=1e-5)


def test_where_not_one_input_fits_the_error_says_so():
    with pytest.raises(bq.BequeathError, match="not even one masked input fits; free memory"):
        bq.evaluate(row_games(2, OutOfMemory(0, ERRORS[0])))


def test_memory_that_runs_out_in_the_value_function_counts_no_mask_twice():
    failed = []

    def value(logits):
        if len(logits) == 16 and not failed and calls.append(1) is None and len(calls) == 2:
            failed.append(1)
            raise ERRORS[0]
        return VALUE(logits)

    calls = []
    games = row_games(3, value=value)
    expected = one_by_one(games)
    calls.clear()
    runner = running.Runner(games[0].model, Evaluation(48))
    tasks = [game.start(runner) for game in games]
    runner.flush()
    assert failed
    assert [task.left for task in tasks] == [0, 0, 0]
    torch.testing.assert_close(torch.stack([task.out for task in tasks]), expected, atol=1e-6, rtol=1e-6)


def test_other_errors_of_the_model_are_told_in_one_line():
    with pytest.raises(bq.BequeathError, match=r"OutOfMemory: its forward pass fails on .*: of its own"):
        bq.evaluate(row_games(2, OutOfMemory(0, RuntimeError("of its own"))))


def test_where_there_is_no_memory_for_reuse_the_model_runs_whole(monkeypatch):
    def ran_out(*args):
        raise ERRORS[1]

    monkeypatch.setattr(running, "with_reuse", ran_out)
    games = image_games(2)
    torch.testing.assert_close(bq.evaluate(games), one_by_one(games), atol=1e-6, rtol=1e-6)


class Wide(nn.Module):
    """Each input makes 100,000 numbers, twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.up, self.batches = nn.Linear(4, 100_000), []

    def forward(self, x):
        self.batches.append(len(x))
        return self.up(x).tanh()[:, :3]


@pytest.mark.parametrize("batch_size", [None, 64])
def test_batches_stay_within_the_memory_that_is_given(batch_size):
    games = row_games(8, Wide())
    expected = one_by_one(games)
    got = bq.evaluate(games, batch_size, memory="10MB")
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    # 2 x 400 kB each: 12 fit, but not 13.
    assert max(games[0].model.batches) <= 12
    if batch_size:
        assert max(games[0].model.batches) == 12


class Tokens(nn.Module):
    """Each token makes 20,000 numbers."""

    def __init__(self, model):
        super().__init__()
        self.model, self.up, self.sizes = model, nn.Linear(1, 20_000, bias=False), []

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        self.sizes.append(input_ids.numel())
        self.up(input_ids[..., None].float())
        return self.model(input_ids=input_ids, attention_mask=attention_mask)


@pytest.mark.parametrize("baseline", ["removal", "mask_token"])
def test_longer_texts_that_come_later_stay_within_the_memory_too(baseline):
    tokenizer = wordpiece()
    model = Tokens(tiny("bert", tokenizer, num_labels=3)).eval()
    texts = ["it is good", "it is good " * 7]
    games = [
        bq.Game(model, text, bq.players.words(tokenizer, 3), getattr(bq.baselines, baseline)(), VALUE)
        for text in texts
    ]
    alone = torch.stack([game.table(1) for game in games])
    model.sizes.clear()
    got = bq.evaluate(games, 64, memory=5_000_000)
    torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-5)
    assert max(model.sizes) * 80_000 <= 5_000_000
    assert max(model.sizes) > 30


def test_the_batch_size_is_found_on_the_work_itself(monkeypatch):
    """A simulated clock: a call takes one second, plus one second for each input after the 32nd."""
    now = [0.0]

    class Clocked(Mlp):
        def forward(self, x):
            now[0] += 1 + max(len(x) - 32, 0)
            return super().forward(x)

    monkeypatch.setattr(running.time, "perf_counter", lambda: now[0])
    games = row_games(40, Clocked())
    expected = one_by_one(games)
    torch.testing.assert_close(bq.evaluate(games), expected, atol=1e-6, rtol=1e-6)
    batches = games[0].model.batches
    assert batches[:3] == [8, 8, 8]
    # The last batch may be smaller.
    assert set(batches[:-1]) == {8, 16, 32, 64}
    assert batches.count(64) == 2
    assert batches[-2] == 32
