"""How long a text a transformers model can take."""

from __future__ import annotations

import torch
from torch import nn

from bequeath.models.architectures import transformers_config

# What libraries call a table of learned positions.
_TABLES = ("position_embeddings", "embed_positions", "wpe")


def most_tokens(architecture: str) -> int | None:
    """Tokens that a model has positions for, or was made for where positions are computed.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.

    Returns
    -------
    int or None
        None where it is not known: no transformers model, or one without a limit.

    Raises
    ------
    BequeathError
        If there is no config.
    """
    source, _, name = architecture.partition(":")
    if not source.startswith("transformers"):
        return None
    from transformers import AutoModel

    config = transformers_config(f"architecture {architecture!r}", name)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    made_for = getattr(text, "max_position_embeddings", None)
    try:
        with torch.device("meta"):
            model: nn.Module = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    except Exception:  # a config that makes no model is told where the model is loaded
        return made_for
    found = [
        _positions(table)
        for path, table in model.named_modules()
        if isinstance(table, nn.Embedding) and path.rpartition(".")[2] in _TABLES
    ]
    return min(found, default=made_for if made_for and made_for > 0 else None)


def _positions(table: nn.Embedding) -> int:
    """Rows that stand for positions: behind the padding's own, or behind an offset."""
    before = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - max(before, getattr(table, "offset", 0))
