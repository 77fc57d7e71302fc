"""Players: the parts of one input that are shown or hidden.

A kind of players is an object with `bind(x, baseline, model)`. It returns a `MaskedInput`: the names of the players
and, for any masks, the model inputs with the absent players hidden. A study needs more: names, places in the image, and
which samples fit. The class `Players` has defaults for these, which a kind may override.
"""

from bequeath.games.players.columns import Columns, columns
from bequeath.games.players.family import Binds, Chosen, Players, chosen, players_of
from bequeath.games.players.features import Channels, Positions, channels, positions
from bequeath.games.players.image import Grid, grid
from bequeath.games.players.masked import MaskedInput, MaskedTensor
from bequeath.games.players.masked_tokens import MaskedTokens
from bequeath.games.players.regions import Regions, regions
from bequeath.games.players.superpixels import Superpixels, superpixels
from bequeath.games.players.text import Text
from bequeath.games.players.units import sentences, spans, tokens, words

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
