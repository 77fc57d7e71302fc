"""The longest text that a transformers model can read."""

from __future__ import annotations

import torch
from torch import nn

from bequeath.models.architectures import transformers_config

# Names that libraries give to a table of learned positions.
_POSITION_TABLES = ("position_embeddings", "embed_positions", "wpe")


def most_tokens(architecture: str) -> int | None:
    """The largest number of tokens: those with learned positions, or, where positions are computed, the config's limit.

    Parameters
    ----------
    architecture : str
        As for `bequeath.models.build`.

    Returns
    -------
    int or None
        None if it is not known: the architecture is not transformers', or has no limit.

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
    stated = getattr(text, "max_position_embeddings", None)
    try:
        with torch.device("meta"):
            model: nn.Module = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    except Exception:  # loading the model reports a config that makes no model
        return stated
    lengths = [
        _positions(table)
        for path, table in model.named_modules()
        if isinstance(table, nn.Embedding) and path.rpartition(".")[2] in _POSITION_TABLES
    ]
    return min(lengths, default=stated if stated and stated > 0 else None)


def _positions(table: nn.Embedding) -> int:
    """Rows of a table that stand for positions: those after the padding's row, or after an offset."""
    padding = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - max(padding, getattr(table, "offset", 0))
