"""How many tokens a model takes: it takes so many, and not one more."""

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    MPNetConfig,
    RobertaConfig,
)

from bequeath.models.limits import most_tokens

SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 12,
}
TABLES = [
    BertConfig(**SMALL, max_position_embeddings=20),
    RobertaConfig(**SMALL, max_position_embeddings=20),  # padding is token 1: two rows are not for positions
    RobertaConfig(**SMALL, max_position_embeddings=20, pad_token_id=0),
    MPNetConfig(**SMALL, max_position_embeddings=20),
    DistilBertConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=8, vocab_size=12, max_position_embeddings=20),
    GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=12, n_positions=20, pad_token_id=0),
]


@pytest.mark.parametrize("config", TABLES, ids=lambda config: f"{config.model_type}-{config.pad_token_id}")
def test_so_many_and_not_one_more(config, tmp_path):
    config.save_pretrained(tmp_path)
    limit = most_tokens(f"transformers:{tmp_path}")
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model(input_ids=torch.full((1, limit), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, limit + 1), 5))


def test_computed_positions_are_limited_by_what_the_model_was_made_for(tmp_path):
    LlamaConfig(**SMALL, max_position_embeddings=33).save_pretrained(tmp_path)
    assert most_tokens(f"transformers-causal-lm:{tmp_path}") == 33
    assert most_tokens("my:build") is None
