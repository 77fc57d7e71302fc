"""The roles of models in a comparison. In a module of its own, so that study files are read without compiling."""

from __future__ import annotations

ROLES = ("before", "after", "control")
