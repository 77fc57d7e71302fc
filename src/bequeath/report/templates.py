"""The templates of the pages."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from bequeath.report import tables, text


@cache
def environment() -> Environment:
    """The templates' environment: names are escaped, and a missing key is an error."""
    # The names *.html.j2 do not switch escaping on by themselves.
    made = Environment(
        loader=PackageLoader("bequeath.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(text.FILTERS)
    made.filters["reading"] = tables.named
    return made
