"""Studies without a study file: what a command's arguments mean, and what they leave out."""

from bequeath.study.direct.study import Wanted, direct_study

__all__ = ["Wanted", "direct_study"]
