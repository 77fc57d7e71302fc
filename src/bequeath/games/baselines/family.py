"""The base class of all baselines, and what a hidden token can become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import config_of
from bequeath.printable import one_line


@dataclass(frozen=True, eq=False)
class Fill:
    """What a hidden token becomes: another token, a vector instead of its embedding, or nothing.

    Attributes
    ----------
    token : int or None
        Id of the token that replaces it.
    vector : Tensor or None
        Vector that replaces its embedding, shape (width,).
    attended : bool
        Whether other tokens attend to it.
    removed : bool
        Whether the token is removed from the text; `token` is then used for padding only.

    Examples
    --------
    >>> import bequeath as bq
    >>> bq.baselines.Fill(token=0, attended=False).attended
    False
    """

    token: int | None = None
    vector: Tensor | None = None
    attended: bool = True
    removed: bool = False

    __repr__ = one_line


class Baseline:
    """Base class of all baselines. A baseline overrides the method of each kind of input that it fits.

    Examples
    --------
    A baseline of your own, which replaces pixels by the image upside down:

    >>> import torch
    >>> import bequeath as bq
    >>> class UpsideDown(bq.baselines.Baseline):
    ...     name, fits = "upside_down", "images"
    ...
    ...     def for_image(self, image):
    ...         return image.flip(1)
    >>> UpsideDown().for_image(torch.tensor([[[1.0], [2.0]]])).flatten().tolist()
    [2.0, 1.0]
    """

    name = "baseline"
    fits = "nothing"

    def for_image(self, image: Tensor) -> Tensor:
        """The image that hidden pixels of `image` are taken from; both (channels, height, width), in input units."""
        raise self._misfit("image players", "mean, zero, blur, dataset_mean or given")

    def for_columns(self, row: Tensor) -> Tensor:
        """The row that hidden columns of `row` are taken from; both (columns,)."""
        raise self._misfit("column players", "dataset_mean, zero or given")

    def for_features(self, features: Tensor, channels: int, model: nn.Module, layer: str) -> Tensor:
        """The feature map that hidden parts of `features`, (1, ...), are taken from; `channels` is its channel axis."""
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
    """Id of the padding token in a text model's configuration; None if there is none.

    Parameters
    ----------
    model : nn.Module
        Such as a model of `transformers`.

    Returns
    -------
    int or None

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.own_padding(torch.nn.Linear(2, 2)) is None
    True
    """
    config: Any = config_of(model)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config()
    own = getattr(config, "pad_token_id", None)
    return own if isinstance(own, int) and own >= 0 else None


def padding_token(tokenizer: Any, model: nn.Module) -> int | None:
    """Id of the padding token: the model's own if it has one, else the tokenizer's; None if neither has one.

    The classifier of a decoder finds the end of a text by the model's own padding token.

    Parameters
    ----------
    tokenizer
        A tokenizer of `transformers`.
    model : nn.Module
        The text model.

    Returns
    -------
    int or None

    Examples
    --------
    Here `tokenizer` is a tokenizer of `transformers` whose padding token has the id 0.

    >>> import torch
    >>> import bequeath as bq
    >>> bq.baselines.padding_token(tokenizer, torch.nn.Linear(2, 2))
    0
    """
    own = own_padding(model)
    return tokenizer.pad_token_id if own is None else own


def embedding_table(model: nn.Module) -> Tensor:
    """The token embeddings of a text model: (vocabulary, width).

    Raises
    ------
    BequeathError
        If the model has no `get_input_embeddings`, which models of `transformers` have.
    """
    get: Any = getattr(model, "get_input_embeddings", None)
    table = getattr(get() if callable(get) else None, "weight", None)
    if not isinstance(table, Tensor):
        raise BequeathError(
            f"model {type(model).__name__}: gives no token embeddings (get_input_embeddings); use the baseline "
            "mask_token, pad or removal"
        )
    return table.detach()
