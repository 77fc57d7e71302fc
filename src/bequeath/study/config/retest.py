"""The `retest` section of a study file: a second reading of each model with a role, on an equivalent game."""

from __future__ import annotations

from pydantic import Field, model_validator

from bequeath.games.players.image import shift_fits
from bequeath.study.config.data import DataConfig
from bequeath.study.config.games import BaselineConfig, BlurConfig, baseline_name
from bequeath.study.config.own import own_names
from bequeath.study.config.players import GridConfig, PlayersConfig
from bequeath.study.config.section import Section


class RetestConfig(Section):
    """How the equivalent game differs from the study's. The retest shows how much of a model a second reading finds."""

    shift: int | None = Field(None, ge=1)
    """Pixels by which the borders of image grids move down and right: less than half a cell."""
    baseline: BaselineConfig | None = None
    """A baseline other than the study's."""
    samples: int | None = Field(None, ge=1)
    """Number of samples, the same as in a study of that many samples, balanced over classes. By default all."""

    @model_validator(mode="after")
    def _differs(self) -> RetestConfig:
        if self.shift is None and self.baseline is None:
            raise ValueError(
                "give shift, another baseline, or both, so that the game differs from the study's own"
            )
        return self

    def check(
        self, data: DataConfig, players: PlayersConfig, baseline: BaselineConfig, reading: str, samples: int
    ) -> None:
        """Refuse settings that do not fit the rest of the study file.

        Parameters
        ----------
        data, players, baseline
            Sections of the study file.
        reading : str
            The kind of its decomposition.
        samples : int
            Its number of samples.
        """
        if self.shift is not None:
            self._check_shift(self.shift, data, players)
        if self.baseline is not None:
            self._check_baseline(self.baseline, players, baseline)
        if self.samples is not None and self.samples > samples:
            raise ValueError(
                f"retest.samples: {self.samples}, but the study has {samples}; give at most {samples}"
            )
        if reading == "joint":
            raise ValueError(
                "retest: does not fit decomposition: joint, which reads all checkpoints of a sample together; leave "
                "retest out, or choose another decomposition"
            )

    def _check_shift(self, shift: int, data: DataConfig, players: PlayersConfig) -> None:
        if not isinstance(players, GridConfig):
            raise ValueError(
                f"retest.shift: moves the cells of image grids (kind: grid), but players are of kind {players.kind}; "
                "give retest.baseline"
            )
        if players.rows == players.cols == 1:
            raise ValueError("retest.shift: a grid of one cell has no borders to move; give retest.baseline")
        # If the file does not give the size of pictures, it is checked later, on the first picture.
        size = getattr(data, "size", None)
        if size is not None and not shift_fits(shift, (size, size), (players.rows, players.cols)):
            raise ValueError(
                f"retest.shift: {shift} pixels on {players.rows} x {players.cols} cells of {size} x {size} pixels; "
                "give less than half a cell"
            )

    def _check_baseline(self, other: BaselineConfig, players: PlayersConfig, own: BaselineConfig) -> None:
        name = baseline_name(other)
        if self.shift is None and _with_defaults(other) == _with_defaults(own):
            raise ValueError(f"retest.baseline: {name} is the study's own; give another one, or a shift")
        if not own_names(players, other) and name not in players.baselines:
            raise ValueError(
                f"retest.baseline: {name} does not fit players of kind {players.kind}; use "
                f"{', '.join(players.baselines)}"
            )


def _with_defaults(baseline: BaselineConfig) -> BaselineConfig:
    """The baseline with the defaults that its short form leaves out."""
    return BlurConfig.model_validate({"kind": "blur"}) if baseline == "blur" else baseline
