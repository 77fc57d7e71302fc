"""Studies of these tests are made in tiny_study.py."""

from tiny_study import edit, study_dir, without_report

__all__ = ["edit", "study_dir", "without_report"]
