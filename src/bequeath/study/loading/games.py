"""Makes a study's games: players, baseline and value of each sample."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from torch import Tensor, nn

from bequeath.games.baselines import Baseline
from bequeath.games.game import Game
from bequeath.games.players import Grid, Players
from bequeath.lattice.subsets import check_players
from bequeath.study.config import StudyConfig
from bequeath.study.config.games import make_baseline, make_value
from bequeath.study.config.masks import check_masks
from bequeath.study.config.own import own_names
from bequeath.study.config.retest import RetestConfig
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.outputs import Outputs
from bequeath.study.loading.plan import Checkpoint


class GameMaker:
    """Makes the game of any model on any sample: the study's own, or the equivalent one of its `retest` section.

    Attributes
    ----------
    cells : dict of int to list of int
        By sample, the cells that were chosen as players by their influence, if the study asks for it. Until they are
        chosen, all cells are players.
    """

    def __init__(self, config: StudyConfig, inputs: StudyInputs, outputs: Outputs) -> None:
        self.config, self.inputs, self.outputs = config, inputs, outputs
        self.cells: dict[int, list[int]] = {}
        if config.decomposition.sparse:
            check_masks(self.n_players, config.sampling.first, config.order(self.n_players))
        else:
            check_players(self.n_players)

    @cached_property
    def _all_players(self) -> Players:
        return self.config.players.make(self.inputs.facts)

    @property
    def choosing(self) -> bool:
        """Whether each sample's players are chosen by their influence on the models."""
        return self.config.players.influential is not None

    @property
    def fusable(self) -> bool:
        """Whether the models' layers may be folded; not if players lie inside the network."""
        return self._all_players.fusable

    @property
    def n_players(self) -> int:
        """Number of players of every game."""
        return self.config.players.n_players or len(self._all_players.names())

    @property
    def names(self) -> list[str]:
        """Names of the players of all samples; numbered names if each sample has its own players."""
        shared = () if self.choosing else self._all_players.names()
        return list(shared) or [f"player {i + 1}" for i in range(self.n_players)]

    @cached_property
    def _shifted_players(self) -> Players:
        """The players of the equivalent game."""
        shift, players = self._retest.shift, self._all_players
        if shift is None:
            return players
        assert isinstance(players, Grid)  # the study file was refused otherwise
        return players.shifted(shift)

    def players(self, index: int | None = None, *, retest: bool = False) -> Players:
        """The players of one sample. Without an index, the players of all samples before any choice."""
        players = self._shifted_players if retest else self._all_players
        if index is not None and index in self.cells:
            return players.only(self.cells[index])
        return players

    def captions(self, index: int) -> tuple[str, ...] | None:
        """The content of each player in one sample, such as its word, for readers; None for pictures."""
        return self.players(index).captions(self.inputs.as_known(index))

    @cached_property
    def baseline(self) -> Baseline:
        """The study's baseline."""
        return make_baseline(self.config.baseline, self.inputs.mean_of)

    @property
    def _retest(self) -> RetestConfig:
        assert self.config.retest is not None  # only called for studies with a retest
        return self.config.retest

    @cached_property
    def _other_baseline(self) -> Baseline:
        """The baseline of the equivalent game."""
        other = self._retest.baseline
        return self.baseline if other is None else make_baseline(other, self.inputs.mean_of)

    @property
    def retest_described(self) -> dict[str, int | str | None]:
        """How the equivalent game differs: ``shift`` in pixels and ``baseline`` in words; None if it does not."""
        other = self._retest.baseline
        words = None if other is None else (own_names(other) or [str(self._other_baseline)])[0]
        return {"shift": self._retest.shift, "baseline": words}

    @property
    def described(self) -> dict[str, str]:
        """Players, baseline and value in words; users' own ones by the names of their functions."""
        config = self.config
        settings = {"players": config.players, "baseline": config.baseline, "value": config.value}
        objects = {"players": self._all_players, "baseline": self.baseline, "value": self.value(0)}
        return {key: (own_names(settings[key]) or [str(objects[key])])[0] for key in settings}

    def value(self, output: int) -> Callable[[Tensor], Tensor]:
        """The study's value function of one output."""
        return make_value(self.config.value, output, self.inputs.answers)

    def game(self, model: nn.Module, index: int, checkpoint: Checkpoint) -> Game:
        """The game of a checkpoint's model on one held-out sample; the equivalent game if it is a retest."""
        sample, retest = self.inputs.data[index], checkpoint.retest
        return Game(
            model,
            sample.x if isinstance(sample.x, str) else sample.x.to(self.inputs.how.device),
            self.players(index, retest=retest),
            self._other_baseline if retest else self.baseline,
            self.value(self.outputs.label(checkpoint, sample.label)),
            name=f"{checkpoint.label}, sample {sample.id}",
        )
