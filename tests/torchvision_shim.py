"""Import torchvision beside torch's CPU wheel, for tests on machines whose registry has CUDA builds only."""

from __future__ import annotations

import sys

import pytest
import torch

# At import torchvision's Python code attaches shape rules to these, which its compiled library should define.
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# Definitions are withdrawn when their library object is collected.
_libraries: list[torch.library.Library] = []


def ensure_torchvision() -> None:
    """Make `import torchvision` work; skip the test where it is not installed."""
    if not mend_torchvision():
        pytest.skip("torchvision is not installed")


def mend_torchvision() -> bool:
    """Make `import torchvision` work if it is installed, and tell whether it is.

    The operators are defined only if the plain import fails for want of one; classifiers never call them. Tests of
    transformers need this too: it imports torchvision wherever that is installed.
    """
    try:
        import torchvision
    except ModuleNotFoundError:
        return False
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        # What the failed import left behind would be taken for the whole package.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in OPERATORS:
            library.define(operator)
        _libraries.append(library)
        import torchvision  # noqa: F401
    return True
