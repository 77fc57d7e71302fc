"""What all tests share: no hub access, and torchvision beside torch's CPU wheel (see torchvision_shim.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Models and tables of tests are small: a second thread only waits, for the other processes that want the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `make test` puts torchvision and timm here, apart from the environment that the demo runs in.
VISION = Path(__file__).resolve().parents[1] / ".venv" / "vision"
if VISION.is_dir():
    sys.path.append(str(VISION))
sys.path.insert(0, str(Path(__file__).parent))

import torch  # noqa: E402
from torchvision_shim import mend_torchvision  # noqa: E402

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # pytest's plugins may have imported torch before

# transformers and Lightning import torchvision wherever they find it: it must work before they do.
mend_torchvision()
