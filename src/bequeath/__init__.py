"""Bequeath: what did pre-training give this model?

Names are loaded on first use, so that ``import bequeath`` and ``bequeath --help`` do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bequeath.errors import BequeathError

if TYPE_CHECKING:
    from bequeath.games import baselines, players, values
    from bequeath.games.evaluate import effect_on_values, evaluate, tables
    from bequeath.games.explain import explain
    from bequeath.games.game import Game
    from bequeath.games.influence import most_influential
    from bequeath.games.options import Evaluation
    from bequeath.knowledge.bounds import ShareBounds, preserved_bounds
    from bequeath.knowledge.compare import compare
    from bequeath.knowledge.comparison import Comparison
    from bequeath.knowledge.dynamics import dynamics, similarity
    from bequeath.knowledge.ledger import ledger
    from bequeath.knowledge.share import Share
    from bequeath.lattice.exact.decompose import CertificateWarning, decompose, decompose_jointly
    from bequeath.lattice.interactions import Certificate, Interactions
    from bequeath.lattice.sparse.checks import ConstantValuesWarning, RepeatedMaskWarning
    from bequeath.lattice.sparse.fit import fit
    from bequeath.lattice.sparse.masks import draw_masks
    from bequeath.lattice.transforms import moebius, or_moebius, or_zeta, zeta
    from bequeath.report import notebook as notebook  # objects show themselves through it
    from bequeath.report import plots
    from bequeath.study.run import Run, Study

__version__ = "0.1.0"

# Where each public name lives: modules that are names themselves, and what stands in modules.
_MODULES = {
    "baselines": "games.baselines",
    "notebook": "report.notebook",
    "players": "games.players",
    "plots": "report.plots",
    "values": "games.values",
}
_HOME = {
    "effect_on_values": "games.evaluate",
    "evaluate": "games.evaluate",
    "tables": "games.evaluate",
    "explain": "games.explain",
    "Game": "games.game",
    "most_influential": "games.influence",
    "Evaluation": "games.options",
    "dynamics": "knowledge.dynamics",
    "similarity": "knowledge.dynamics",
    "ledger": "knowledge.ledger",
    "Comparison": "knowledge.comparison",
    "compare": "knowledge.compare",
    "ShareBounds": "knowledge.bounds",
    "preserved_bounds": "knowledge.bounds",
    "CertificateWarning": "lattice.exact.decompose",
    "decompose": "lattice.exact.decompose",
    "decompose_jointly": "lattice.exact.decompose",
    "Certificate": "lattice.interactions",
    "Interactions": "lattice.interactions",
    "ConstantValuesWarning": "lattice.sparse.checks",
    "RepeatedMaskWarning": "lattice.sparse.checks",
    "fit": "lattice.sparse.fit",
    "draw_masks": "lattice.sparse.masks",
    "moebius": "lattice.transforms",
    "or_moebius": "lattice.transforms",
    "or_zeta": "lattice.transforms",
    "zeta": "lattice.transforms",
    "Share": "knowledge.share",
    "Run": "study.run",
    "Study": "study.run",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(f"bequeath.{_MODULES[name]}")
    elif name in _HOME:
        value = getattr(import_module(f"bequeath.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'bequeath' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__all__ = [
    "BequeathError",
    "Certificate",
    "CertificateWarning",
    "Comparison",
    "ConstantValuesWarning",
    "Evaluation",
    "Game",
    "Interactions",
    "RepeatedMaskWarning",
    "Run",
    "Share",
    "ShareBounds",
    "Study",
    "baselines",
    "compare",
    "decompose",
    "decompose_jointly",
    "draw_masks",
    "dynamics",
    "effect_on_values",
    "evaluate",
    "explain",
    "fit",
    "ledger",
    "moebius",
    "most_influential",
    "or_moebius",
    "or_zeta",
    "players",
    "plots",
    "preserved_bounds",
    "similarity",
    "tables",
    "values",
    "zeta",
]
