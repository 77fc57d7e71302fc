"""What a model can be in a comparison. Alone here, so that study files are read without compiling anything."""

from __future__ import annotations

ROLES = ("before", "after", "control")
