"""Makes the engine that a study names."""

from __future__ import annotations

from bequeath.study.config.engine import EngineConfig, OwnEngineConfig, RayConfig
from bequeath.study.engines.contract import Engine
from bequeath.study.engines.local import LocalEngine
from bequeath.study.loading.parts import StudyParts


def make_engine(config: EngineConfig, parts: StudyParts) -> Engine:
    """Make the engine of a study file's `engine` section; `parts` are those of this process."""
    if isinstance(config, RayConfig):
        # Imported only here, because Ray need not be installed for the other engine.
        from bequeath.study.engines.ray import RayEngine

        return RayEngine(config)
    if isinstance(config, OwnEngineConfig):
        engine: Engine = config.make()
        return engine
    return LocalEngine(config, parts)
