"""The `roles` of a study file: which of its models is which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field, field_validator

from bequeath.knowledge.roles import ROLES
from bequeath.study.config.section import Section

# Names that tell their role.
_TOLD = {"pretrained": "before", "finetuned": "after", "scratch": "control"}
_NAME = re.compile(r"[^\W_][\w.-]*( [\w.-]+)*")


class RolesConfig(Section):
    """Names of models by their role."""

    before: str
    after: str
    control: str | None = None
    """A model that did not begin as `before` did, such as one trained from scratch."""
    twins: dict[str, list[str]] = Field(default_factory=dict)
    """By role: other seeds of the same recipe."""

    @field_validator("twins", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: [names] if isinstance(names, str) else names for role, names in value.items()}

    def given(self) -> Iterator[tuple[str, str]]:
        """(role, name) of all models that have one, as a comparison calls them: ``after``, ``after twin``, ..."""
        for role in ROLES:
            if getattr(self, role) is not None:
                yield role, getattr(self, role)
        for role, names in self.twins.items():
            for number, name in enumerate(names, 1):
                yield f"{role} twin" + (f" {number}" if len(names) > 1 else ""), name

    def check(self, models: Iterable[str]) -> None:
        """Refuse roles of no model, a model in two roles, twins of nobody."""
        known = list(models)
        taken: dict[str, str] = {}
        for role, name in self.given():
            place = f"roles.{role.replace(' ', '.')}"
            if name not in known:
                raise ValueError(f"{place}: no model {name!r}; models are {', '.join(known)}")
            if name in taken:
                raise ValueError(f"{place}: {name!r} is {taken[name]} already; give another model")
            taken[name] = role
        for role in self.twins:
            if role not in ROLES or getattr(self, role) is None:
                raise ValueError(
                    f"roles.twins: {role!r} is no role that a model has; give before, after or control"
                )


def roles_told(roles: dict[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Roles as given, those that are left out told by the models' names."""
    told = {_TOLD[name]: name for name in models if name in _TOLD}
    found = {**told, **roles}
    # A model that was given another role has no second one by its name.
    elsewhere = [name for name in roles.values() if isinstance(name, str)]
    found = {role: name for role, name in found.items() if role in roles or name not in elsewhere}
    if not {"before", "after"} <= found.keys():
        raise ValueError(
            f"roles: say which model is before and which is after, such as roles: {{before: a, after: b}}; models are "
            f"{', '.join(models)} (pretrained, finetuned and scratch need no roles)"
        )
    return found


def check_names(models: Iterable[str]) -> None:
    """Names stand in files, tables and pictures."""
    names = list(models)
    if len(names) < 2:
        raise ValueError("models: give two at least, such as pretrained and finetuned")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"models: {name!r} is no name; begin with a letter or digit, and use letters, digits, -, _, . and "
                "single blanks"
            )
