"""Fixtures: a complete findings document."""

from __future__ import annotations

from typing import Any

import pytest
from report_findings import make_findings


@pytest.fixture(params=["image", "text"])
def findings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A complete findings document, once of images and once of texts."""
    return make_findings(request.param)


@pytest.fixture
def image_findings() -> dict[str, Any]:
    """A complete findings document of images."""
    return make_findings("image")
