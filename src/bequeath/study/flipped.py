"""Finds the flipped samples for a study with a focus, before its samples are chosen, and keeps them in its folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from bequeath.errors import BequeathError
from bequeath.study.loading.digests import key_of
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan
from bequeath.study.status import Status
from bequeath.study.store.folder import kept, read_object
from bequeath.study.store.identity import accuracy_identity, checkpoint_identity, data_identity

logger = logging.getLogger(__name__)

_GROUPS = ("forgotten", "learned")


def find_flipped(parts: StudyParts, plan: Plan, folder: Path, status: Status) -> list[list[int]]:
    """Find the accuracy samples that one of the models before and after has right and the other wrong.

    Returns
    -------
    list of list of int
        Indices into the data: of the forgotten samples, and of the learned ones.

    Raises
    ------
    BequeathError
        If the file that an earlier start wrote is damaged.
    """
    roles, tested = parts.games.config.roles, plan.accuracy_samples

    def find() -> dict[str, Any]:
        stage = status.stage("looking for flipped samples", 2)
        right = []
        for name in (roles.before, roles.after):
            checkpoint = plan.checkpoints[plan.finals[name]]
            model = parts.models.load(checkpoint, folder)
            right.append(parts.inputs.correct(model, tested, parts.outputs.order(checkpoint)).tolist())
            status.advance(stage, 1)
        pairs = list(zip(tested, *right, strict=True))
        return {
            "forgotten": [i for i, before, after in pairs if before and not after],
            "learned": [i for i, before, after in pairs if after and not before],
        }

    name, key = "flips", _key(parts, plan)
    groups = _checked(kept(folder, name, key, find), folder / f"{name}-{key}.json", tested)
    logger.info("focus: %d forgotten, %d learned of %d samples", *map(len, groups), len(tested))
    return groups


def known_flipped(parts: StudyParts, plan: Plan, folder: Path) -> list[list[int]]:
    """The groups of `find_flipped` if an earlier start has found them; else an empty list."""
    path = folder / f"flips-{_key(parts, plan)}.json"
    return _checked(read_object(path), path, plan.accuracy_samples) if path.exists() else []


def _key(parts: StudyParts, plan: Plan) -> str:
    """A digest of everything that the flips depend on."""
    config = parts.games.config
    finals = (plan.checkpoints[plan.finals[name]] for name in (config.roles.before, config.roles.after))
    models = [checkpoint_identity(parts, final) for final in finals]
    return key_of(data_identity(config), models, accuracy_identity(parts, plan))


def _checked(content: dict[str, Any], path: Path, tested: tuple[int, ...]) -> list[list[int]]:
    groups = [content.get(name) for name in _GROUPS]
    for group in groups:
        if not isinstance(group, list) or not set(group) <= set(tested):
            raise BequeathError(
                f"{path}: damaged: it does not list flipped samples of this study; remove it and start again"
            )
    return groups  # type: ignore[return-value]
