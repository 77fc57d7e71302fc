"""Who is who: the models of a findings document, their names, and how figures draw them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Marker and line of each role.
ROLES: dict[str, tuple[str, Any]] = {"before": ("D", ":"), "after": ("o", "-"), "control": ("s", "--")}
# Lines of a role's first, second, ... twin.
_TWINS: tuple[Any, ...] = ("-.", (0, (1, 1)), (0, (5, 1)))
_OTHERS = ("^", "v", "P", "X")


@dataclass(frozen=True)
class Model:
    """One model as figures and pages show it.

    Attributes
    ----------
    name : str
        The user's.
    role : str or None
        As in the findings.
    colour : str
        A key of `style.COLOURS`: its role's, a lighter one for a role's twin, or one that means nothing else.
    marker, line
        For matplotlib.
    """

    name: str
    role: str | None
    colour: str
    marker: str
    line: Any


def models(findings: dict[str, Any]) -> dict[str, Model]:
    """All models of a findings document by name, in its order."""
    by_name: dict[str, Model] = {}
    others = 0
    for name, model in findings["models"].items():
        role, *twin = (model["role"] or " ").split(" ")
        if not role:
            look = (f"other-{others % 2}", _OTHERS[others % len(_OTHERS)], (0, (4, 1, 1, 1)))
            others += 1
        elif twin:  # "after twin", "after twin 2"
            number = int(twin[1]) - 1 if len(twin) > 1 else 0
            look = (f"{role}-twin", ROLES[role][0], _TWINS[number % len(_TWINS)])
        else:
            look = (role, *ROLES[role])
        by_name[name] = Model(name, model["role"], *look)
    return by_name


def compared(findings: dict[str, Any]) -> dict[str, Model]:
    """The models that are compared, by role: before, after, and control where there is one."""
    by_name, roles = models(findings), findings["roles"]
    return {role: by_name[roles[role]] for role in ROLES if roles[role]}


def region(members: Iterable[str] | None, called: dict[str, Model]) -> str:
    """The name of a set of roles; None stands for the whole output."""
    if members is None:
        return "total: v(N) − v(∅)"  # noqa: RUF001 -- a real minus sign
    members = list(members)
    if len(members) == len(called):
        return {2: "both"}.get(len(members), "all three")
    return f"{' & '.join(called[role].name for role in members)} only"


def short(name: str, most: int = 56) -> str:
    """A name of at most `most` letters, without the middle of a longer one: names often differ at the end."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[len(name) - end :]}"
