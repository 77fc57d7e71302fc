"""Studies without a study file, from the arguments of a command."""

from bequeath.study.direct.study import Wanted, direct_study

__all__ = ["Wanted", "direct_study"]
