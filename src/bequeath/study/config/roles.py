"""The `roles` section of a study file: which model is before, after, the control and a twin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field, field_validator

from bequeath.knowledge.roles import ROLES
from bequeath.study.config.section import Section

# Names of models that imply a role.
_ROLE_OF_NAME = {"pretrained": "before", "finetuned": "after", "scratch": "control"}
_NAME = re.compile(r"[^\W_][\w.-]*( [\w.-]+)*")


class RolesConfig(Section):
    """Names of models by their role."""

    before: str
    after: str
    control: str | None = None
    """A model that did not start from `before`, such as one trained from scratch."""
    twins: dict[str, list[str]] = Field(default_factory=dict)
    """For each role, models of the same recipe with other seeds."""

    @field_validator("twins", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: [names] if isinstance(names, str) else names for role, names in value.items()}

    def given(self) -> Iterator[tuple[str, str]]:
        """(role, name) of all models with a role. Roles are named as in a comparison: ``after``, ``after twin``, ..."""
        for role in ROLES:
            if getattr(self, role) is not None:
                yield role, getattr(self, role)
        for role, names in self.twins.items():
            for number, name in enumerate(names, 1):
                yield f"{role} twin" + (f" {number}" if len(names) > 1 else ""), name

    def check(self, models: Iterable[str]) -> None:
        """Refuse names of no model, a model in two roles, and twins of a role that no model has."""
        known = list(models)
        taken: dict[str, str] = {}
        for role, name in self.given():
            place = f"roles.{role.replace(' ', '.')}"
            if name not in known:
                raise ValueError(f"{place}: no model {name!r}; models are {', '.join(known)}")
            if name in taken:
                raise ValueError(f"{place}: {name!r} is already {taken[name]}; give another model")
            taken[name] = role
        for role in self.twins:
            if role not in ROLES or getattr(self, role) is None:
                raise ValueError(
                    f"roles.twins: no model has the role {role!r}; give before, after or control"
                )


def complete_roles(roles: dict[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Complete the given roles by the names of models that imply one.

    Raises
    ------
    ValueError
        If no model is before, or none is after.
    """
    implied = {_ROLE_OF_NAME[name]: name for name in models if name in _ROLE_OF_NAME}
    # A model with a given role does not get a second one by its name.
    with_role = [name for name in roles.values() if isinstance(name, str)]
    complete = {role: name for role, name in implied.items() if name not in with_role} | roles
    if not {"before", "after"} <= complete.keys():
        raise ValueError(
            f"roles: say which model is before and which is after, such as roles: {{before: a, after: b}}; models are "
            f"{', '.join(models)} (pretrained, finetuned and scratch need no roles)"
        )
    return complete


def check_names(models: Iterable[str]) -> None:
    """Refuse fewer than two models, and names that would not fit into files, tables and pictures."""
    names = list(models)
    if len(names) < 2:
        raise ValueError("models: give at least two, such as pretrained and finetuned")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"models: {name!r} is not allowed as a name; begin with a letter or digit, and use letters, digits, -, "
                "_, . and single spaces"
            )
