"""Candidates and pictures of these tests are made in planted_candidates.py."""

from planted_candidates import candidate, project

__all__ = ["candidate", "project"]
