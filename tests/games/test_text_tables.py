"""Tables of texts, against texts that are assembled word by word and run one at a time."""

import pytest
import torch
from tiny_texts import TOKENIZERS, byte_level, made, tiny

import bequeath as bq
from bequeath.games.evaluate import Evaluation, tables
from bequeath.lattice.subsets import masks

VALUE = bq.values.logit(7)
TEXTS = ["the unbelievable plot was bad", "movie good !", "really dull , very dull"]


def joined(lists):
    return [item for part in lists for item in part]


def ids_by_word(tokenizer, text):
    """Token ids of each word (with the space before it), and of the special tokens before and after."""
    words = text.split(" ")
    ids = [
        tokenizer(" " * bool(i) + word, add_special_tokens=False).input_ids for i, word in enumerate(words)
    ]
    whole = tokenizer(text).input_ids
    inner = sum(map(len, ids))
    front = next(f for f in range(3) if whole[f : f + inner] == joined(ids))
    return whole[:front], ids, whole[front + inner :]


def run(model, ids, attended=None):
    """The value of one text from its token ids; an empty text is one padding token."""
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.tensor([attended or [1] * len(ids)])}
    with torch.inference_mode():
        logits = model(**inputs).logits
    if logits.ndim == 3:
        logits = logits[:, int(inputs["attention_mask"][0].nonzero().max())]
    return VALUE(logits).item()


def of_words(ids, mask, keep, hide):
    return [[keep(i) if shown else hide(i) for i in word] for word, shown in zip(ids, mask, strict=True)]


def flat(parts):
    return [
        item for part in parts for item in (part if isinstance(part, list) else [part]) if item is not None
    ]


def expected(model, tokenizer, text, baseline):
    """The table of a text's words, from plain model calls."""
    front, ids, behind = ids_by_word(tokenizer, text)
    out = []
    for mask in masks(len(ids)).tolist():
        if baseline == "removal":
            left = front + flat(of_words(ids, mask, lambda i: i, lambda i: None)) + behind
            out.append(run(model, left or [tokenizer.pad_token_id]))
        else:
            token = tokenizer.pad_token_id if baseline == "pad" else tokenizer.mask_token_id
            filled = front + flat(of_words(ids, mask, lambda i: i, lambda i, token=token: token)) + behind
            attended = [1] * len(filled)
            if baseline == "pad":
                attended = [1] * len(front) + flat(of_words(ids, mask, lambda i: 1, lambda i: 0))
                attended += [1] * len(behind)
                if not any(attended):
                    attended[0] = 1
            out.append(run(model, filled, attended))
    return torch.tensor(out, dtype=torch.float64)


def game(model, tokenizer, text, baseline, players=None, name="text"):
    return bq.Game(model, text, players or bq.players.words(tokenizer), baseline, VALUE, name)


def close(got, wanted):
    torch.testing.assert_close(got, wanted, atol=2e-4, rtol=2e-4)


MASKING = ("bert", "roberta", "distilbert")


@pytest.mark.parametrize(
    ("kind", "baseline"),
    [(kind, baseline) for kind in TOKENIZERS for baseline in ("removal", "pad")]
    + [(kind, "mask_token") for kind in MASKING],
)
def test_tables_are_those_of_texts_run_one_at_a_time(kind, baseline):
    model, tokenizer = made(kind)
    wanted = [expected(model, tokenizer, text, baseline) for text in TEXTS]
    assert min(table.std() for table in wanted) > 1e-3
    games = [game(model, tokenizer, text, getattr(bq.baselines, baseline)()) for text in TEXTS]
    for size in (1, 7, 64):  # alone, in batches that mix texts of different lengths, all at once
        for got, table in zip(tables(games, Evaluation(size)), wanted, strict=True):
            close(got, table)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("baseline", ["mean", "zero", "given"])
def test_vectors_take_the_place_of_embeddings(kind, baseline):
    model, tokenizer = made(kind)
    embed = model.get_input_embeddings()
    made_up = torch.linspace(-1, 1, 32)
    vector = {"mean": embed.weight.mean(0), "zero": torch.zeros(32), "given": made_up}[baseline].detach()
    fill = bq.baselines.given(made_up) if baseline == "given" else getattr(bq.baselines, baseline)()
    wanted = []
    for text in TEXTS:
        front, ids, behind = ids_by_word(tokenizer, text)
        whole = torch.tensor([front + joined(ids) + behind])
        for mask in masks(len(ids)).tolist():
            shown = [True] * len(front) + flat(of_words(ids, mask, lambda i: True, lambda i: False))
            shown = torch.tensor(shown + [True] * len(behind))
            with torch.inference_mode():
                vectors = torch.where(shown[None, :, None], embed(whole), vector)
                logits = model(inputs_embeds=vectors, attention_mask=torch.ones_like(whole)).logits
            wanted.append(VALUE(logits[:, -1] if logits.ndim == 3 else logits))
    games = [game(model, tokenizer, text, fill) for text in TEXTS]
    for size in (1, 7, 64):
        close(torch.cat(list(tables(games, Evaluation(size)))), torch.cat(wanted))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_full_mask_is_exactly_the_tokenizers_own_inputs(kind):
    model, tokenizer = made(kind)
    for baseline in (bq.baselines.removal(), bq.baselines.pad()):
        inputs = game(model, tokenizer, TEXTS[0], baseline).masked.inputs(torch.ones(1, 5, dtype=torch.bool))
        plain = tokenizer(TEXTS[0], return_tensors="pt")
        assert set(inputs) == set(plain)
        assert all(torch.equal(inputs[name], plain[name]) for name in plain)


def test_shorter_texts_are_filled_up_with_the_models_own_padding_token():
    """A decoder's classifier finds the end of a text by its configuration's token, not the tokenizer's."""
    tokenizer = byte_level()
    model = tiny("gpt2-classifier", tokenizer, num_labels=9, pad_token_id=5)
    games = [game(model, tokenizer, text, bq.baselines.removal()) for text in TEXTS]
    alone = [
        expected(model, tokenizer, text, "removal")[1:] for text in TEXTS
    ]  # the empty text is all padding
    for got, table in zip(tables(games, Evaluation(64)), alone, strict=True):
        close(got[1:], table)


def test_an_empty_text_does_not_depend_on_what_shares_its_batch():
    for kind in ("gpt2", "gpt2-classifier"):
        model, tokenizer = made(kind)
        for baseline in (bq.baselines.removal(), bq.baselines.pad()):
            played = game(model, tokenizer, TEXTS[0], baseline)
            close(played.values(torch.zeros(1, 5, dtype=torch.bool)), played.table(64)[:1])


def test_vectors_move_to_the_device_with_the_text():
    model, tokenizer = made("bert")
    moved = game(model, tokenizer, TEXTS[0], bq.baselines.mean()).masked.to(torch.device("meta"))
    assert moved.fill.vector.device.type == moved.embedded.device.type == "meta"
    assert moved.inputs(torch.ones(1, 5, dtype=torch.bool))["inputs_embeds"].shape == moved.embedded.shape
