"""Inputs, models and games of a study together."""

from __future__ import annotations

from dataclasses import dataclass

from bequeath.study.config import StudyConfig
from bequeath.study.loading.games import GameMaker
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.models import ModelLoader


@dataclass(frozen=True)
class StudyParts:
    """What a study needs at hand; a process has one of it."""

    inputs: StudyInputs
    models: ModelLoader
    games: GameMaker

    @classmethod
    def of(cls, config: StudyConfig) -> StudyParts:
        """Those of a study file."""
        inputs = StudyInputs(config)
        games = GameMaker(config, inputs)
        return cls(inputs, ModelLoader(config, inputs, fuse=games.fusable), games)
