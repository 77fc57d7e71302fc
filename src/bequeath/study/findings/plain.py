"""Results as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from bequeath.knowledge.share import Share
from bequeath.knowledge.statistics import Estimate

Json = dict[str, Any]


def plain(value: Any) -> Any:
    """Convert results to plain JSON: dataclasses to dicts, tuples to lists, numbers that are not finite to None."""
    if isinstance(value, (Estimate, Share)):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
