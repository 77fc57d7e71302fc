"""What every section of a study file has: unknown keys are refused, values do not change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a study file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
