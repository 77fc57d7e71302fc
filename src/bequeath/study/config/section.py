"""Base of all sections of a study file: they refuse unknown keys and infinite numbers, and are immutable."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that all generators of random numbers accept."""


class Section(BaseModel):
    """A part of a study file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
