"""Small parts of real data sets, from ../shared/data, for the tests of their layouts."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def shared(name: str) -> Path:
    """A file or folder of ../shared/data; skip the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}")
    return path


def cars(split: str, each: int) -> list[tuple[str, bytes]]:
    """Class and JPEG of some cars, `each` of every class."""
    found: dict[str, list[bytes]] = {}
    with zipfile.ZipFile(shared("stanford_cars12_crop160.zip")) as archive:
        for name in sorted(archive.namelist()):
            part, _, rest = name.partition("/")
            kind, _, file = rest.partition("/")
            if part == split and file and len(found.setdefault(kind, [])) < each:
                found[kind].append(archive.read(name))
    # Classes mixed, as in the published lists.
    return [(kind, members[i]) for i in range(each) for kind, members in sorted(found.items())]


def cifar10() -> tuple[list[str], np.ndarray, list[int]]:
    """Names, images uint8 (200, 32, 32, 3) and labels of real training pictures, classes mixed."""
    with zipfile.ZipFile(shared("cifar10_train200_png.zip")) as archive:
        files = [name for name in archive.namelist() if name.endswith(".png")]
        classes = sorted({name.split("/")[0] for name in files})
        files.sort(key=lambda name: int(Path(name).stem))
        images = [np.asarray(Image.open(BytesIO(archive.read(name))).convert("RGB")) for name in files]
    return classes, np.stack(images), [classes.index(name.split("/")[0]) for name in files]
