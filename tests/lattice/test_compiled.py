"""Loops also compile if machine code cannot be cached."""

import numpy as np
from numba.core.caching import CompileResultCacheImpl

from bequeath.lattice.compiled import compiled, summing


def _doubled(x):
    for i in range(x.size):
        x[i] = x[i] * 2


def test_without_a_folder_for_machine_code_each_process_compiles_anew(monkeypatch):
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    for compile in (compiled, summing):
        function, x = compile(_doubled), np.arange(3.0)
        function(x)
        assert x.tolist() == [0, 2, 4]
        assert not function.stats.cache_path


def test_machine_code_is_kept_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    compiled(_doubled)(np.arange(3.0))
    assert list(tmp_path.rglob("*.nbc"))
