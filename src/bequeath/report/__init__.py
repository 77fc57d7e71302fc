"""Findings become a report: figures, one function each, and one self-contained HTML page.

Importing this package imports matplotlib and jinja2, so the rest of Bequeath imports it only where a report
is made.
"""

from bequeath.report.page import render

__all__ = ["render"]
