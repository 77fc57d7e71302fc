"""The contract of every baseline, and what a hidden token can become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import config_of
from bequeath.printable import one_line


@dataclass(frozen=True, eq=False)
class Fill:
    """What a hidden token becomes: another token, a vector in place of its embedding, or nothing.

    Attributes
    ----------
    token : int or None
        Token id.
    vector : Tensor or None
        Embedding of shape (width,).
    attended : bool
        Whether other tokens attend to it.
    removed : bool
        Whether the text closes over it; `token` then only fills batches up.
    """

    token: int | None = None
    vector: Tensor | None = None
    attended: bool = True
    removed: bool = False

    __repr__ = one_line


class Baseline:
    """The family's contract; a baseline overrides what it fits."""

    name = "baseline"
    fits = "nothing"

    def for_image(self, image: Tensor) -> Tensor:
        """The picture behind `image`, both (channels, height, width), in the model's input units."""
        raise self._misfit("image players", "mean, zero, blur, dataset_mean or given")

    def for_columns(self, row: Tensor) -> Tensor:
        """The row behind `row`, both (columns,)."""
        raise self._misfit("column players", "dataset_mean, zero or given")

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        """What is behind one sample's feature map (1, ...) at a layer, of the same shape; `channels` is its axis."""
        raise self._misfit("feature-map players", "dataset_mean, mean, zero or given")

    def for_tokens(self, tokenizer: Any, model: nn.Module) -> Fill:
        """What hidden tokens become."""
        raise self._misfit("text players", "mask_token, pad, removal, mean, zero or given")

    def _misfit(self, players: str, instead: str) -> BequeathError:
        return BequeathError(
            f"baseline {self.name}: does not fit {players} (it fits {self.fits}); use {instead}"
        )

    def __str__(self) -> str:
        return self.name


def own_padding(model: nn.Module) -> int | None:
    """The padding token of a text model's configuration, where it tells one."""
    config: Any = config_of(model)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config()
    own = getattr(config, "pad_token_id", None)
    return own if isinstance(own, int) and own >= 0 else None


def padding_token(tokenizer: Any, model: nn.Module) -> int | None:
    """The model's own padding token, by which a decoder's classifier finds the end of a text; else the tokenizer's."""
    own = own_padding(model)
    return tokenizer.pad_token_id if own is None else own


def embedding_table(model: nn.Module) -> Tensor:
    """A text model's token embeddings: (vocabulary, width).

    Raises
    ------
    BequeathError
        If the model does not tell them (`get_input_embeddings`, as transformers' models do).
    """
    get: Any = getattr(model, "get_input_embeddings", None)
    table = getattr(get() if callable(get) else None, "weight", None)
    if not isinstance(table, Tensor):
        raise BequeathError(
            f"model {type(model).__name__}: gives no token embeddings (get_input_embeddings); use the baseline "
            "mask_token, pad or removal"
        )
    return table.detach()
