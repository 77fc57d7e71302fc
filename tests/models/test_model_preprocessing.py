"""A model's own preprocessing against its library's own transform, on real photographs."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.models import Preprocessing, build, preprocessing_of

PHOTOS = Path(__file__).resolve().parents[2] / "../shared/data/hymenoptera256/val"
pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs ../shared/data/hymenoptera256")


def photographs() -> list[Image.Image]:
    """Wide, high and square ones, of even and odd sizes."""
    files = [sorted((PHOTOS / name).iterdir())[i] for name in ("ants", "bees") for i in (0, 7, 20)]
    pictures = [Image.open(file).convert("RGB") for file in files]
    first = pictures[0]
    return [*pictures, first.crop((0, 0, 231, 181)), first.crop((3, 0, 150, 255)), first.resize((301, 301))]


def ours(prepare: Preprocessing | None, picture: Image.Image) -> Tensor:
    assert prepare is not None
    return prepare.normalise(prepare.view(picture))


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("resnet18", ""),
        ("resnet50", "IMAGENET1K_V1"),
        ("resnet50", "IMAGENET1K_V2"),
        ("vgg16", "IMAGENET1K_FEATURES"),
        ("efficientnet_b1", "IMAGENET1K_V2"),
        ("efficientnet_b3", ""),
        ("mobilenet_v3_large", ""),
        ("convnext_tiny", ""),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("swin_t", ""),
        ("swin_v2_t", ""),
        ("inception_v3", ""),
    ],
)
def test_torchvisions(name: str, entry: str) -> None:
    ensure_torchvision()
    import torchvision

    weights = torchvision.models.get_model_weights(name)
    theirs = (weights[entry] if entry else weights.DEFAULT).transforms()
    prepare = preprocessing_of(f"torchvision:{name}", f"hub:{entry}" if entry else None)
    for picture in photographs():
        torch.testing.assert_close(ours(prepare, picture), theirs(picture), rtol=0, atol=1e-6)


def test_a_published_file_is_known_by_its_name() -> None:
    ensure_torchvision()
    by_file = preprocessing_of("torchvision:resnet50", "weights/resnet50-0676ba61.pth")
    assert by_file == preprocessing_of("torchvision:resnet50", "hub:IMAGENET1K_V1")
    assert by_file != preprocessing_of("torchvision:resnet50", "weights/mine.pth")
    with pytest.raises(BequeathError, match="torchvision knows no such model"):
        preprocessing_of("torchvision:resnet19")


def test_ours_is_torchvisions() -> None:
    ensure_torchvision()
    assert preprocessing_of("bequeath:mobilenet_v2") == preprocessing_of(
        "torchvision:mobilenet_v2", "hub:IMAGENET1K_V1"
    )


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("resnet18", ""),
        ("efficientnet_b0", ""),
        ("vit_small_patch16_224", ""),
        ("vit_base_patch16_224", "orig_in21k_ft_in1k"),
        ("deit_small_patch16_224", ""),
        ("swin_tiny_patch4_window7_224", ""),
        ("convnext_tiny", ""),
        ("convnext_tiny", "fb_in22k_ft_in1k_384"),  # squash
        ("vgg16", ""),
        ("beit_base_patch16_224", ""),
    ],
)
def test_timms(name: str, entry: str) -> None:
    ensure_torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    config = timm.data.resolve_data_config(
        {}, pretrained_cfg=timm.get_pretrained_cfg(f"{name}.{entry}" if entry else name).to_dict()
    )
    theirs = timm.data.create_transform(**config, is_training=False)
    prepare = preprocessing_of(f"timm:{name}", f"hub:{entry}" if entry else None)
    for picture in photographs():
        torch.testing.assert_close(ours(prepare, picture), theirs(picture), rtol=0, atol=1e-6)


def test_timms_of_a_model_and_squashed_before_a_cut() -> None:
    ensure_torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    overlay = {"crop_mode": "squash", "crop_pct": 0.9, "input_size": (3, 96, 96), "mean": (0.5, 0.4, 0.3)}
    model = build("timm:resnet10t", 2, "image", pretrained_cfg_overlay=overlay)
    theirs = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    prepare = preprocessing_of("my_models:net", model=model)
    assert prepare is not None
    assert (prepare.size, prepare.resize_to, prepare.resize) == (96, 106, "squash")
    for picture in photographs():
        torch.testing.assert_close(ours(prepare, picture), theirs(picture), rtol=0, atol=1e-6)
    model = build("timm:resnet10t", 2, "image", pretrained_cfg_overlay={"crop_mode": "border"})
    assert preprocessing_of("timm:resnet10t", model=model) is None
    with pytest.raises(BequeathError, match=r"timm has no pre-trained config resnet18\.no_such"):
        preprocessing_of("timm:resnet18", "hub:no_such")


# As published: google/vit-base, facebook/deit-base, facebook/convnext-tiny, microsoft/resnet-50, facebook/dinov2, ...
HALF = [0.5, 0.5, 0.5]
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
PROCESSORS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2, "image_mean": HALF},
    "vit defaults": {"image_processor_type": "ViTImageProcessor"},
    "old name": {"feature_extractor_type": "ViTFeatureExtractor", "size": {"height": 96, "width": 96}},
    "deit": {"feature_extractor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224, **IMAGENET},
    "convnext": {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "size": 224,
        "crop_pct": 0.875,
        **IMAGENET,
    },
    "convnext large": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}},
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 256},
        "crop_size": {"height": 223, "width": 223},
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
    },
    "clip": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}, "resample": 3},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 224, "width": 224}},
    "mobilenet": {"image_processor_type": "MobileNetV1ImageProcessor", "do_normalize": False},
    "mobilenet_v2": {"image_processor_type": "MobileNetV2ImageProcessor"},
    "other factor": {
        "image_processor_type": "ViTImageProcessor",
        "rescale_factor": 1 / 127.5,
        "image_mean": [1] * 3,
    },
    "beit": {"image_processor_type": "BeitImageProcessor", "do_center_crop": False, "size": 64},
}


def write(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("name", PROCESSORS)
def test_transformers(transformers: ModuleType, tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, PROCESSORS[name])
    prepare = preprocessing_of(f"transformers:{folder}")
    assert prepare is not None
    pictures, on_tensors = (
        transformers.AutoImageProcessor.from_pretrained(folder, backend=backend)
        for backend in ("pil", "torchvision")
    )
    level = 1 / (255 * np.array(prepare.std)[:, None, None])
    for picture in photographs():
        found = ours(prepare, picture)
        expected = pictures(picture, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        # Where torchvision is installed transformers resizes tensors, which differs at sharp edges only.
        expected = on_tensors(picture, return_tensors="pt")["pixel_values"][0]
        off = ((found - expected).abs().numpy() / level).round(3)
        assert (off > 1).mean() < 5e-3


@pytest.mark.parametrize(
    "content",
    [
        {"image_processor_type": "ViTImageProcessor", "do_resize": False},
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 192}},
        {"image_processor_type": "CLIPImageProcessor", "do_center_crop": False},
        {"image_processor_type": "EfficientNetImageProcessor"},
    ],
)
def test_what_is_not_of_this_form(transformers: ModuleType, tmp_path: Path, content: dict[str, Any]) -> None:
    assert preprocessing_of(f"transformers:{write(tmp_path, content)}") is None


def test_where_transformers_settings_are_found(transformers: ModuleType, tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"image_processor_type": "ViTImageProcessor", "size": 64})
    tuned = write(tmp_path / "tuned", {"image_processor_type": "ViTImageProcessor", "size": 96})
    (tmp_path / "none").mkdir()

    def size(architecture: Path, weights: Path | None) -> int | None:
        found = preprocessing_of(f"transformers:{architecture}", weights)
        return None if found is None else found.size

    assert size(base, None) == 64
    assert size(base, tuned) == 96
    assert size(base, tmp_path / "none") == 64
    assert size(tmp_path / "none", tuned / "model.safetensors") is None
    assert size(tmp_path / "none", None) is None
    (base / "preprocessor_config.json").write_text("{")
    with pytest.raises(BequeathError, match=r"base/preprocessor_config\.json: cannot be read"):
        size(base, None)


@pytest.mark.parametrize("architecture", ["my_models:net", "bequeath:mlp", "transformers:no/such-model"])
def test_unknown(transformers: ModuleType, architecture: str) -> None:
    assert preprocessing_of(architecture) is None
