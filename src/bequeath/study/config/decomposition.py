"""The `decomposition` and `bounds` sections of a study file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bequeath.lattice.exact.options import PAPER_NOISE, Precision
from bequeath.study.config.section import Section


def allowance(decomposition: Mapping[str, Any]) -> float:
    """The noise of a section in its dumped form: the share of |v(N) - v(0)| by which values may be missed."""
    noise = decomposition.get("noise")
    return float(noise if noise is not None else PAPER_NOISE if decomposition["kind"] == "paper" else 0.0)


def is_certified(kind: str) -> bool:
    """Whether interactions of a kind have certificates; closed forms need none."""
    return kind not in ("and", "or")


_SPARSE = {"order", "terms", "resamples"}


class Decomposition(Section):
    """How interactions are read from tables of values."""

    kind: Literal["sparse", "and-or", "and", "or", "paper", "joint"] = "sparse"
    """sparse: few terms that predict masks which were not evaluated. All others are exact, and need all 2**n masks.
    and, or: closed forms. and-or: the sparsest split. paper: the same with the papers' noise allowance. joint: the
    sparsest splits of all checkpoints of a sample together, so that nothing is called exclusive that can be shared."""
    order: int | None = Field(default=None, ge=1)
    """sparse: the largest number of players in a term; by default 4 for up to 16 players, else 3 (`bequeath.fit`)."""
    terms: Literal["and-or", "and", "or"] = "and-or"
    """sparse: kinds of terms."""
    resamples: int = Field(default=10, ge=0, le=1000, multiple_of=2)
    """sparse: number of fits on random halves of the masks; they show how often a term is chosen."""
    tol: float = Field(default=1e-3, gt=0, lt=1)
    """The largest relative duality gap."""
    noise: float | None = Field(default=None, ge=0)
    """Share of |v(N) - v(0)| by which values may change for a sparser split; by default 0.04 for paper, else 0."""
    coupling: float = Field(default=1.0, ge=0)
    """joint: weight of the differences between checkpoints."""
    resolution: float | None = Field(default=None, gt=0)
    """How precisely the unique solution is computed (`bequeath.decompose`)."""
    max_iterations: int = Field(default=100_000, ge=1, le=10**9)
    precision: Precision = "float64"

    @model_validator(mode="after")
    def _fits(self) -> Decomposition:
        given = [
            name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default
        ]
        if self.kind == "sparse" and (more := sorted({*given} - {"kind", *_SPARSE})):
            raise ValueError(f"{', '.join(more)}: is for exact readings, not for kind: sparse; leave it out")
        if self.kind != "sparse" and (more := sorted({*given} & _SPARSE)):
            raise ValueError(f"{', '.join(more)}: is for kind: sparse only; leave it out")
        if not self.certified and (more := sorted({*given} - {"kind", "tol"})):
            raise ValueError(
                f"{', '.join(more)}: {self.kind} is a closed form without settings; leave it out"
            )
        if self.kind != "joint" and "coupling" in given:
            raise ValueError("coupling: is for kind: joint only; leave it out")
        return self

    @property
    def certified(self) -> bool:
        """Whether interactions have certificates."""
        return is_certified(self.kind)

    @property
    def sparse(self) -> bool:
        """Whether readings are sparse, from some of the masks."""
        return self.kind == "sparse"

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `bequeath.decompose`, or of `decompose_jointly`."""
        if not self.certified:
            return {}
        names = ["noise", "tol", "resolution", "max_iterations", "precision"]
        names += ["coupling"] if self.kind == "joint" else []
        return {name: getattr(self, name) for name in names}


class Bounds(Section):
    """Bounds of the preserved share over all equally sparse splits (docs/decomposition.md)."""

    slack: float = Field(default=1e-3, gt=0, lt=1)
    """A split counts as equally sparse if its L1 norm exceeds the smallest by at most this share."""
    entries: int = Field(default=64, ge=1)
    """Number of the strongest shared interactions for which a lower bound is computed."""


def _by_name(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


def _switched(value: object) -> object:
    return {} if value is True else None if value is False else value


DecompositionConfig = Annotated[Decomposition, BeforeValidator(_by_name)]
BoundsConfig = Annotated[Bounds | None, BeforeValidator(_switched)]
