"""A prepared study: its parts, its plan, and the identity that its results depend on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

from bequeath import __version__
from bequeath.errors import BequeathError
from bequeath.lattice.sparse.selection import MOST as MOST_TERMS
from bequeath.lattice.sparse.terms import count_terms
from bequeath.study.config import StudyConfig
from bequeath.study.findings.findings import SCHEMA
from bequeath.study.loading.digests import key_of
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan, make_plan
from bequeath.study.store.identity import identity
from bequeath.study.store.layout import Axes, Sampling


class Prepared:
    """A study's parts, plan and identity, all known before the long work.

    Attributes
    ----------
    config : StudyConfig
    parts : StudyParts
    plan : Plan
    identity : dict
        Everything that the results depend on (`bequeath.study.store.identity`).
    """

    def __init__(
        self,
        config: StudyConfig,
        flipped: Callable[[StudyParts, Plan], Sequence[Sequence[int]]] | None = None,
    ) -> None:
        """Prepare a study.

        Parameters
        ----------
        config : StudyConfig
        flipped : callable, optional
            For a study with a focus, gives groups of samples that are chosen first (`bequeath.study.flipped`).

        Raises
        ------
        BequeathError
            If models are not trained yet, or models or data cannot be used.
        """
        self.config = config
        for name, model in config.models.items():
            if config.training is not None and model.weights is None and not model.checkpoints:
                raise BequeathError(
                    f"models.{name}: not trained yet; first bequeath train STUDY --out trained, then run the study "
                    "files that it writes"
                )
        self.parts = StudyParts.of(config)
        data, players = self.parts.inputs.data, self.parts.games.players()
        self.plan = make_plan(config, data, players)
        if config.focus is not None and flipped is not None:
            self.plan = make_plan(config, data, players, flipped(self.parts, self.plan))
        self.parts.inputs.check_files(sorted({*self.plan.samples, *self.plan.accuracy_samples}))
        self.identity = identity(self.parts, self.plan)

    @property
    def game_key(self) -> str:
        """A digest of everything that games depend on."""
        return key_of(*(self.identity[part] for part in ("game", "checkpoints", "samples")))

    @property
    def findings_key(self) -> str:
        """A digest of everything that findings depend on."""
        # The retest is part of the identity.
        settings = self.config.model_dump(
            mode="json", exclude={"engine", "evaluation", "store", "training", "retest"}
        )
        return key_of(SCHEMA, __version__, self.identity, settings)

    @property
    def jointly(self) -> bool:
        """Whether a sample's checkpoints are decomposed together."""
        return self.config.decomposition.kind == "joint"

    @property
    def majority(self) -> float:
        """Share of the accuracy samples that belong to the largest class."""
        labels = [self.parts.inputs.data.labels[i] for i in self.plan.accuracy_samples]
        return Counter(labels).most_common(1)[0][1] / len(labels)

    def axes(self) -> Axes:
        """The coordinates of the run's arrays."""
        plan, data = self.plan, self.parts.inputs.data
        return Axes(
            [checkpoint.label for checkpoint in plan.checkpoints],
            [checkpoint.step for checkpoint in plan.checkpoints],
            list(self.identity["samples"]),
            [self.parts.inputs.classes[data.labels[i]] for i in plan.samples],
            self.parts.games.names,
            len(plan.accuracy_samples),
            self._sampling,
        )

    @cached_property
    def _sampling(self) -> Sampling | None:
        config, n = self.config, self.parts.games.n_players
        if not config.decomposition.sparse:
            return None
        shown, order = config.sampling.draw(n, config.seed), config.order(n)
        terms = min(MOST_TERMS, len(shown), count_terms(n, order, config.decomposition.terms))
        return Sampling(shown, order, terms, min(config.sampling.first, len(shown)))
