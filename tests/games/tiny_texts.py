"""Tokenizers trained on a few sentences, and tiny random text models of the real classes."""

from __future__ import annotations

from functools import cache

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

_SENTENCES = [
    "the movie was really good and I liked it, very much",
    "the plot was bad; the end was not good!",
    "Review: the film. Is it good or bad? Sentiment:",
]


@cache
def _bytes(specials: tuple[str, ...], trim: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_SENTENCES * 3, trainer)
    return tokenizer.to_str()


def byte_level(pad="<pad>", trim=False, bos=False, **more):
    """A tokenizer of GPT-2's kind, with or without a beginning-of-text token as Llama's has one."""
    specials = tuple(token for token in ("<end>", pad) if token)
    backend = Tokenizer.from_str(_bytes(specials, trim))
    if bos:
        backend.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=trim),
                processors.TemplateProcessing("<end> $A", special_tokens=[("<end>", 0)]),
            ]
        )
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", pad_token=pad, model_input_names=names, **more
    )


def roberta(**more):
    """A byte-level tokenizer with special tokens around the text, and RoBERTa's ids of them."""
    backend = Tokenizer.from_str(_bytes(("<s>", "<pad>", "</s>", "<mask>"), True))
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token="<s>",
        pad_token="<pad>",
        sep_token="</s>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
        **more,
    )


def wordpiece(names=("input_ids", "token_type_ids", "attention_mask"), **more):
    """A tokenizer of BERT's kind: words of the sentences, single letters, and pieces of letters."""
    words = sorted({word.strip(",.;:!?").lower() for line in _SENTENCES for word in line.split()})
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *letters,
        *(f"##{c}" for c in letters),
        *",.;:!?",
    ]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_input_names=list(names),
        **more,
    )


def tiny(kind, tokenizer, seed=0, **config):
    """A random model of 2 layers and width 32, in eval mode: ``bert``, ``gpt2``, ``gpt2-classifier``, ..."""
    import transformers as t

    torch.manual_seed(seed)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    gpt2 = {"n_embd": 32, "n_layer": 2, "n_head": 2}
    distil = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    classes, configs, shape = {
        "bert": (t.BertForSequenceClassification, t.BertConfig, size),
        "roberta": (t.RobertaForSequenceClassification, t.RobertaConfig, size),
        "distilbert": (t.DistilBertForSequenceClassification, t.DistilBertConfig, distil),
        "gpt2-classifier": (t.GPT2ForSequenceClassification, t.GPT2Config, gpt2),
        "llama-classifier": (t.LlamaForSequenceClassification, t.LlamaConfig, size),
        "gpt2": (t.GPT2LMHeadModel, t.GPT2Config, gpt2),
        "llama": (t.LlamaForCausalLM, t.LlamaConfig, size),
    }[kind]
    made = configs(
        vocab_size=len(tokenizer),
        **shape,
        **{"pad_token_id": tokenizer.pad_token_id, "initializer_range": 0.5, **config},
    )
    return classes(made).eval()


TOKENIZERS = {
    "bert": wordpiece,
    "roberta": roberta,
    "distilbert": lambda **more: wordpiece(("input_ids", "attention_mask"), **more),
    "gpt2-classifier": byte_level,
    "llama-classifier": lambda **more: byte_level(bos=True, **more),
    "gpt2": lambda **more: byte_level(trim=True, **more),
    "llama": lambda **more: byte_level(bos=True, **more),
}


def made(kind):
    """A model of a kind and its tokenizer; classifiers have nine classes."""
    tokenizer = TOKENIZERS[kind]()
    config = {} if kind in ("gpt2", "llama") else {"num_labels": 9}
    return tiny(kind, tokenizer, **config), tokenizer
