"""A prompt before the text is computed once, and the values do not change."""

import pytest
import torch
from tiny_texts import byte_level, tiny, wordpiece

import bequeath as bq
from bequeath.games.evaluate import Evaluation, tables
from bequeath.games.prefix import Prompted, with_prefix

PROMPT = "Review: is the film good or bad?"
TEXT = "the plot was really bad"


def causal(kind):
    tokenizer = byte_level(bos=kind == "llama")
    return tiny(kind, tokenizer, max_position_embeddings=128), tokenizer


def game(model, tokenizer, prompt, baseline, text=TEXT, value=None):
    players = bq.players.words(tokenizer, prompt=prompt)
    return bq.Game(model, text, players, baseline, value or bq.values.next_token(7), text)


def embedded(model):
    """Records how many tokens each pass embeds."""
    seen = []
    model.get_input_embeddings().register_forward_hook(lambda m, args, out: seen.append(args[0].numel()))
    return seen


def prompted(played):
    with torch.inference_mode():
        return with_prefix(played.model, played.masked)


BASELINES = [bq.baselines.removal(), bq.baselines.pad(), bq.baselines.mean(), bq.baselines.given([0.3] * 32)]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("baseline", BASELINES, ids=str)
@pytest.mark.parametrize("prompt", [PROMPT + " {}", PROMPT + " {} Sentiment:"])
def test_a_prompt_computed_once_gives_the_values_of_the_whole_text(kind, baseline, prompt):
    model, tokenizer = causal(kind)
    played = game(model, tokenizer, prompt, baseline)
    assert isinstance(prompted(played), Prompted)
    for size in (1, 5, 32):
        whole = bq.evaluate([played], size, reuse=False)
        torch.testing.assert_close(bq.evaluate([played], size), whole, atol=1e-4, rtol=1e-4)
        assert whole.std() > 1e-2


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_prompt_is_not_computed_again(kind):
    model, tokenizer = causal(kind)
    played = game(model, tokenizer, PROMPT + " {}", bq.baselines.pad())
    found = prompted(played)
    behind = len(played.masked.owner) - found.length
    fixed = int((played.masked.owner < 0).sum())
    assert 4 <= found.length == fixed - 1
    seen = embedded(model)
    bq.evaluate([played], 8)
    # The prompt, two whole texts and the part of both after the prompt, to compare; then 32 masks.
    whole = len(played.masked.owner)
    assert sum(seen) == found.length + 2 * whole + 2 * behind + 32 * behind
    seen.clear()
    bq.evaluate([played], 8, reuse=False)
    assert sum(seen) == 32 * whole


@pytest.mark.parametrize("prompt", ["{}", "Is {}", "{} " + PROMPT])
def test_texts_without_a_long_prompt_are_left_alone(prompt):
    model, tokenizer = causal("gpt2")
    played = game(model, tokenizer, prompt, bq.baselines.pad())
    assert prompted(played) is played.masked


@pytest.mark.parametrize("kind", ["bert", "gpt2-classifier", "llama-classifier"])
def test_other_models_run_the_whole_text(kind):
    tokenizer = wordpiece() if kind == "bert" else byte_level()
    model = tiny(kind, tokenizer, num_labels=9)
    played = game(
        model, tokenizer, PROMPT.replace("?", " ?") + " {}", bq.baselines.pad(), value=bq.values.logit(7)
    )
    assert prompted(played) is played.masked
    seen = embedded(model)
    bq.evaluate([played], 8)
    assert sum(seen) == 32 * len(played.masked.owner)


def test_a_model_that_sees_what_is_behind_is_found_out(monkeypatch):
    """A model with a cache whose prompt depends on the text, here on its length."""
    model, tokenizer = causal("gpt2")
    forward = model.transformer.h[0].forward
    monkeypatch.setattr(
        model.transformer.h[0],
        "forward",
        lambda states, *a, **k: forward(states + states.mean(1, keepdim=True), *a, **k),
    )
    played = game(model, tokenizer, PROMPT + " {}", bq.baselines.pad())
    assert prompted(played) is played.masked


def test_prompts_of_many_games_are_never_taken_for_one_another():
    model, tokenizer = causal("gpt2")
    prompts = [PROMPT.replace("film", word) for word in ("film", "plot", "end", "movie", "sentiment")] * 4

    def games():
        for prompt in prompts:
            yield game(model, tokenizer, prompt + " {}", bq.baselines.removal(), "bad movie")

    whole = torch.stack(list(tables(games(), Evaluation(4, reuse=False))))
    assert len({round(table[0].item(), 3) for table in whole}) == 5
    torch.testing.assert_close(torch.stack(list(tables(games(), Evaluation(4)))), whole, atol=1e-4, rtol=1e-4)


def test_chosen_players_behind_a_prompt_of_fixed_words():
    model, tokenizer = causal("gpt2")
    players = bq.players.chosen(bq.players.words(tokenizer), [6, 7])
    text = "the film was good or really bad end"
    played = bq.Game(model, text, players, bq.baselines.removal(), bq.values.next_token(7))
    assert isinstance(prompted(played), Prompted)
    torch.testing.assert_close(
        bq.evaluate([played], 4), bq.evaluate([played], 4, reuse=False), atol=1e-4, rtol=1e-4
    )
