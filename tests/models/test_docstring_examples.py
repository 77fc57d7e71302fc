"""The examples in docstrings of models, data and training that need no files run as they are written."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
import torch
from PIL import Image

from bequeath import data, models
from bequeath.models.outputs import check_outputs

EXAMPLES = [
    *("models.mlp.mlp", "models.mobilenetv2.mobilenet_v2", "models.heads.find_head"),
    *("models.model_preprocessing.preprocessing_of", "models.preprocessing.Preprocessing"),
    *("models.outputs.num_outputs", "models.outputs.check_outputs", "models.fuse.fused_for_inference"),
    *("models.probe.features", "models.probe.fit_probe", "models.probe.with_probe"),
    *("data.demo.fashion_mnist", "data.samples.Subset", "data.samples.balanced", "data.samples.batch"),
    *("data.images.ImageArray", "data.tables.Table", "data.text.TextList"),
    *("training.checkpoints.log_spaced", "training.fit.by_turns", "rank.candidates.candidates"),
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_example(path: str) -> None:
    module_name, _, name = path.rpartition(".")
    module = importlib.import_module(f"bequeath.{module_name}")
    known = {"np": np, "torch": torch, "Image": Image, "check_outputs": check_outputs}
    known |= {key: getattr(package, key) for package in (models, data) for key in package.__all__}
    (found,) = doctest.DocTestFinder(recurse=False).find(
        getattr(module, name), name, module, globs=vars(module) | known
    )
    assert found.examples
    results = doctest.DocTestRunner().run(found)
    assert results.failed == 0
