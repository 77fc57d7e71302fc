"""Text players: the owner of each token, and bad input."""

from itertools import accumulate

import pytest
import torch
from tiny_texts import byte_level, made, tiny, wordpiece
from torch import nn

import bequeath as bq

VALUE = bq.values.logit(7)
TEXT = "movie good !"


def game(model, tokenizer, text, baseline, players=None):
    return bq.Game(model, text, players or bq.players.words(tokenizer), baseline, VALUE)


def owners(tokenizer, players, text):
    """(token, owner) for each token of a text."""
    model = nn.Linear(1, 1)
    masked = players.bind(text, bq.baselines.pad(), model)
    names = tokenizer.convert_ids_to_tokens(masked.tokens["input_ids"][0].tolist())
    return [(name.replace("Ġ", "_"), owner) for name, owner in zip(names, masked.owner.tolist(), strict=True)]


def test_wordpieces_and_punctuation_belong_to_their_word():
    tokenizer = wordpiece()
    assert owners(tokenizer, bq.players.words(tokenizer), "Good, bady movie.") == [
        ("[CLS]", -2),
        ("good", 0),
        (",", 0),
        ("bad", 1),
        ("##y", 1),
        ("movie", 2),
        (".", 2),
        ("[SEP]", -2),
    ]


@pytest.mark.parametrize("trim", [False, True])
def test_byte_level_tokens_belong_to_the_word_behind_their_space(trim):
    tokenizer = byte_level(trim=trim)
    assert owners(tokenizer, bq.players.words(tokenizer), "the movie  was bad, éh") == [
        ("the", 0),
        ("_movie", 1),
        ("_", 2),  # a second space is no word: it belongs to the next word
        ("_was", 2),
        ("_bad", 3),
        (",", 3),
        ("_", 4),
        ("Ã", 4),
        ("©", 4),
        ("h", 4),
    ]


def test_tokens_are_players_one_by_one_but_for_bytes_of_one_character():
    tokenizer = byte_level()
    players = bq.players.tokens(tokenizer)
    assert players.names("the é!") == ("the", "é", "!")
    assert owners(tokenizer, players, "the é!") == [("the", 0), ("_", 1), ("Ã", 1), ("©", 1), ("!", 2)]
    assert bq.players.tokens(wordpiece()).names("bady, ok") == ("bad", "y", ",", "o", "k")


def test_tokens_are_those_of_the_text_within_its_prompt():
    # " good" after a prompt is one token, "good" at the start of a text is two.
    backend = byte_level()
    text = "good"
    assert (len(backend.tokenize(text)), len(backend.tokenize(" " + text))) == (2, 1)
    players = bq.players.tokens(backend, prompt="Review: {} Sentiment:")
    assert players.names(text + " was") == (text, "was")
    got = owners(backend, players, text + " was")
    assert [pair for pair in got if pair[1] >= 0] == [("_" + text, 0), ("_was", 1)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("good \u200b film", ("good \u200b", "film")),  # a zero-width space belongs to the word before it
        ("\u200b good film", ("\u200b good", "film")),
        ("\ufeff \ufe0f good \u200f \u2060 film \u200e", ("\ufeff \ufe0f good \u200f \u2060", "film \u200e")),
        ("go\u200bod film", ("go\u200bod", "film")),  # a joiner within a word
        ("good\u200d film", ("good\u200d", "film")),
    ],
)
def test_what_the_tokenizer_drops_goes_with_its_neighbour(text, names):
    tokenizer = wordpiece()
    players = bq.players.words(tokenizer)
    assert players.fits(text)
    assert players.names(text) == names
    owned = [owner for _, owner in owners(tokenizer, players, text)]
    assert {*owned} == {-2, 0, 1}
    assert not bq.players.words(tokenizer, 3).fits(text)


def test_a_text_fits_where_it_can_be_bound():
    tokenizer = wordpiece(model_max_length=8)
    model = nn.Linear(1, 1)
    texts = [
        "good film",
        "good \u200b",
        "\u200b",
        "",
        "good " * 9,
        "good film bad",
        "good \u200b film \u200b bad",
    ]
    for players in (bq.players.words(tokenizer, 2), bq.players.spans(tokenizer, [(0, 4), (5, 6)])):
        for text in texts:
            try:
                players.bind(text, bq.baselines.pad(), model)
                bound = True
            except bq.BequeathError:
                bound = False
            assert players.fits(text) == bound, (players, text)
    assert [text for text in texts if bq.players.words(tokenizer, 2).fits(text)] == [
        texts[0],
        texts[5],
        texts[6],
    ]


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("unit", ["words", "tokens"])
def test_the_prompt_around_a_text_always_stays(kind, unit):
    model, tokenizer = made(kind)
    players = getattr(bq.players, unit)(tokenizer, prompt="Is {} good or bad ?")
    bound = game(model, tokenizer, "the plot", bq.baselines.removal(), players).masked
    assert bound.names == ("the", "plot")
    for mask, text in (
        ([0, 0], "Is good or bad ?"),
        ([1, 0], "Is the good or bad ?"),
        ([1, 1], "Is the plot good or bad ?"),
    ):
        inputs = bound.inputs(torch.tensor([mask]).bool())
        assert inputs["input_ids"][0].tolist() == tokenizer(text).input_ids


def test_a_text_with_braces_and_a_prompt():
    tokenizer = wordpiece()
    assert bq.players.words(tokenizer, prompt="is {} good").names("a {} b") == ("a", "{}", "b")


@pytest.mark.parametrize("words", [5, 7, 12])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_runs_are_neighbours_as_equal_as_can_be(words, n):
    text = " ".join("abcdefghijkl"[:words])
    for players in (bq.players.words(wordpiece(), n), bq.players.tokens(wordpiece(), n)):
        names = players.names(text)
        assert " ".join(names) == text
        sizes = [len(name.split()) for name in names]
        assert len(sizes) == n
        assert max(sizes) - min(sizes) <= 1
        owner = players.bind(text, bq.baselines.pad(), nn.Identity()).owner.tolist()
        ends = list(accumulate(sizes))
        assert owner == [-2, *(sum(i >= end for end in ends) for i in range(words)), -2]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The plot. Was it bad? Good!", ("The plot.", "Was it bad?", "Good!")),
        ("Was it 3.5 or v1.2? No", ("Was it 3.5 or v1.2?", "No")),
        (
            'He said "bad!" (really?!) Good...  The\nend ',
            ('He said "bad!"', "(really?!)", "Good...", "The end"),
        ),
        ("no end", ("no end",)),
    ],
)
def test_sentences(text, names):
    for tokenizer in (wordpiece(), byte_level()):
        players = bq.players.sentences(tokenizer)
        assert players.names(text) == names
        special = 2 if tokenizer.cls_token else 0
        owner = players.bind(text, bq.baselines.pad(), nn.Identity()).owner.tolist()
        # All tokens within a sentence belong to it, including white space.
        assert sum(i == -2 for i in owner) == special + (text.endswith(" ") and not special)
    assert bq.players.sentences(wordpiece(), 1).names("A b. C d.") == ("A b. C d.",)


def test_spans_in_any_order_and_the_rest_stays():
    tokenizer = wordpiece()
    players = bq.players.spans(tokenizer, [(9, 12), (0, 3)])
    assert players.names("the plot was bad") == ("was", "the")
    assert [owner for _, owner in owners(tokenizer, players, "the plot was bad")] == [-2, 1, -2, 0, -2, -2]
    assert str(players) == "2 given spans of text"


def slow_tokenizer():
    from transformers import CanineTokenizer

    return CanineTokenizer()


def bound(players, text="the plot was bad"):
    return players.bind(text, bq.baselines.pad(), nn.Identity())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: bq.players.words(slow_tokenizer()),
            "CanineTokenizer does not give the places .* use a fast tokenizer",
        ),
        (lambda: bq.players.words(wordpiece(), prompt="no place"), "'no place' needs {} once"),
        (lambda: bq.players.words(wordpiece(), prompt="{} {}"), "needs {} once"),
        (lambda: bq.players.words(wordpiece(), 0), "n_players = 0; give at least 1"),
        (lambda: bq.players.tokens(wordpiece(), -2), "n_players = -2; give at least 1"),
        (lambda: bound(bq.players.words(wordpiece(), 5)), "4 words for 5 players"),
        (lambda: bound(bq.players.tokens(wordpiece()), "  "), "0 tokens for any players"),
        (lambda: bound(bq.players.sentences(wordpiece()), ""), "0 sentences for any players"),
        (lambda: bq.players.spans(wordpiece(), []), "none given"),
        (lambda: bq.players.spans(wordpiece(), [(4, 8), (0, 5)]), r"\(0, 5\) and \(4, 8\) overlap"),
        (lambda: bound(bq.players.spans(wordpiece(), [(4, 99)])), r"\(4, 99\) in a text of 16 characters"),
        (lambda: bound(bq.players.spans(wordpiece(), [(3, 3)])), r"\(3, 3\) in a text"),
        (lambda: bound(bq.players.spans(wordpiece(), [(3, 4)])), "no token for ' '"),
        (lambda: bound(bq.players.words(wordpiece()), "\u200b \ufe0f"), "0 words for any players"),
        (
            lambda: bound(bq.players.spans(wordpiece(), [(0, 4), (5, 6)]), "good \u200b film"),
            r"no token for '\\u200b'",
        ),
        (lambda: bound(bq.players.words(wordpiece(model_max_length=5))), "more than the 5 tokens"),
        (
            lambda: bound(bq.players.words(wordpiece(model_max_length=6), prompt="{} good ?")),
            "more than the 6 tokens",
        ),
        (lambda: bound(bq.players.tokens(wordpiece(model_max_length=5), 2)), "more than the 5 tokens"),
        (lambda: bound(bq.players.words(wordpiece()), 3), "int given; give a text"),
    ],
)
def test_bad_texts_are_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (bq.baselines.mask_token(), "no mask token; use pad, removal, mean or zero"),
        (bq.baselines.pad(), "pad: this tokenizer has no padding token; set one"),
        (bq.baselines.removal(), "removal: this tokenizer has no padding token; set one"),
        (bq.baselines.blur(), r"blur: does not fit text players \(it fits images\)"),
    ],
)
def test_tokenizers_without_the_token_and_baselines_of_images_are_named(baseline, message):
    tokenizer = byte_level(pad=None)
    with pytest.raises(bq.BequeathError, match=message):
        game(tiny("gpt2", tokenizer), tokenizer, TEXT, baseline)


@pytest.mark.parametrize("baseline", [bq.baselines.mean(), bq.baselines.given([0.0] * 32)])
def test_a_model_without_token_embeddings_is_named(baseline):
    with pytest.raises(bq.BequeathError, match="Linear: gives no token embeddings"):
        game(nn.Linear(1, 1), wordpiece(), TEXT, baseline)


def test_a_given_embedding_of_another_width_is_named():
    model, tokenizer = made("bert")
    with pytest.raises(bq.BequeathError, match=r"given: \(31,\) does not fit an embedding \(32,\)"):
        game(model, tokenizer, TEXT, bq.baselines.given([0.0] * 31))


def test_a_decoder_classifier_without_a_padding_token_is_named_before_any_work():
    tokenizer = byte_level(pad=None)
    model = tiny("gpt2-classifier", tokenizer)
    with pytest.raises(bq.BequeathError, match=r"GPT2ForSequenceClassification: .*config.pad_token_id"):
        game(model, tokenizer, TEXT, bq.baselines.mean())
