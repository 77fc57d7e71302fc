"""What is hidden: the parts of one input that a game plays with.

A kind of players is an object with `bind(x, baseline, model)`, which returns a `MaskedInput`: the names of the players
and, for any block of masks, the model inputs with the absent players hidden. What else a study asks of its players
(names, places in the picture, which samples fit) has answers in the class `Players`, for a kind to override.
"""

from bequeath.games.players.columns import Columns, columns
from bequeath.games.players.family import Binds, Chosen, Players, chosen, players_of
from bequeath.games.players.features import Channels, Positions, channels, positions
from bequeath.games.players.image import Grid, Regions, grid, regions
from bequeath.games.players.masked import MaskedInput, MaskedTensor
from bequeath.games.players.masked_tokens import MaskedTokens
from bequeath.games.players.superpixels import Superpixels, superpixels
from bequeath.games.players.text import Text, sentences, spans, tokens, words

__all__ = [
    "Binds",
    "Channels",
    "Chosen",
    "Columns",
    "Grid",
    "MaskedInput",
    "MaskedTensor",
    "MaskedTokens",
    "Players",
    "Positions",
    "Regions",
    "Superpixels",
    "Text",
    "channels",
    "chosen",
    "columns",
    "grid",
    "players_of",
    "positions",
    "regions",
    "sentences",
    "spans",
    "superpixels",
    "tokens",
    "words",
]


def __dir__() -> list[str]:
    return __all__
