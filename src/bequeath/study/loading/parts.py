"""The inputs, models and games of a study."""

from __future__ import annotations

from dataclasses import dataclass

from bequeath.study.config import StudyConfig
from bequeath.study.loading.games import GameMaker
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.models import ModelLoader
from bequeath.study.loading.outputs import Outputs


@dataclass(frozen=True)
class StudyParts:
    """Everything that a process needs to work on a study."""

    inputs: StudyInputs
    models: ModelLoader
    games: GameMaker
    outputs: Outputs

    @classmethod
    def of(cls, config: StudyConfig) -> StudyParts:
        """Make the parts of a study."""
        inputs = StudyInputs(config)
        outputs = Outputs(config, inputs)
        games = GameMaker(config, inputs, outputs)
        return cls(inputs, ModelLoader(config, inputs, fuse=games.fusable), games, outputs)
