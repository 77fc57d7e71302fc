"""Architectures by name."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest
import torch
from tiny_models import write_config
from torch import Tensor, nn
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality, logits
from bequeath.models import build, find_head, load_model
from bequeath.models.mobilenetv2 import MobileNetV2

BUILDERS = """
import torch
def net(num_classes, width=4):
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Linear(width, num_classes))
def fixed():
    return torch.nn.Linear(2, 3)
def anything(**kwargs):
    return torch.nn.Linear(2, kwargs["num_classes"])
def nothing():
    return None
def failing():
    raise RuntimeError("no such thing\\nsecond line")
constant = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module in the current folder."""
    (tmp_path / "own_builders.py").write_text(BUILDERS)
    (tmp_path / "own_needs.py").write_text("import not_installed_at_all\n")
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    for name in ("own_builders", "own_needs", "own_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "own_builders"


def round_trip(
    architecture: str, folder: Path, inputs: Tensor | dict[str, Tensor], **kwargs: object
) -> nn.Module:
    """Save a random model's state, load it by name, and see the same logits."""
    kind = "text" if isinstance(inputs, dict) else "image"
    torch.manual_seed(0)
    model = build(architecture, 3, kind, **kwargs).eval()
    torch.save(model.state_dict(), folder / "model.pt")
    loaded = load_model(architecture, folder / "model.pt", 3, kind, **kwargs)
    assert not loaded.training
    with torch.inference_mode():
        expected = logits(model, inputs)
        assert expected.shape == (2, 3)
        assert torch.equal(logits(loaded, inputs), expected)
    return loaded


def test_torchvision_round_trip(tmp_path: Path) -> None:
    ensure_torchvision()
    model = round_trip("torchvision:shufflenet_v2_x0_5", tmp_path, torch.randn(2, 3, 32, 32))
    assert type(model).__name__ == "ShuffleNetV2"


def test_torchvision_unknown_name_lists_close_ones() -> None:
    ensure_torchvision()
    with pytest.raises(BequeathError, match=r"no model 'resnet81'; did you mean .*resnet18"):
        build("torchvision:resnet81", 3, "image")
    with pytest.raises(
        BequeathError, match=r"architecture 'torchvision:resnet18': building it failed: TypeError"
    ):
        build("torchvision:resnet18", 3, "image", depth=3)


def test_timm_round_trip(tmp_path: Path) -> None:
    ensure_torchvision()
    pytest.importorskip("timm", reason="timm is not installed")
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    round_trip("timm:vit_tiny_patch16_224", tmp_path, torch.randn(2, 3, 32, 32), **small)


def test_timm_unknown_name_lists_close_ones() -> None:
    ensure_torchvision()
    pytest.importorskip("timm", reason="timm is not installed")
    with pytest.raises(
        BequeathError, match=r"no model 'vit_smal_patch16_224'; did you mean .*vit_small_patch16_224"
    ):
        build("timm:vit_smal_patch16_224", 3, "image")


def test_transformers_text_round_trip(transformers: ModuleType, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    config.save_pretrained(tmp_path)
    tokens = {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]]), "attention_mask": torch.ones(2, 3).long()}
    model = round_trip(f"transformers:{tmp_path}", tmp_path, tokens)
    assert type(model).__name__ == "BertForSequenceClassification"
    model.save_pretrained(tmp_path)
    from_folder = load_model(f"transformers:{tmp_path}", tmp_path, 3, "text")
    with torch.inference_mode():
        assert torch.equal(logits(from_folder, tokens), logits(model, tokens))


def test_transformers_image_round_trip_in_float32(transformers: ModuleType, tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        dtype="bfloat16",
    )
    config.save_pretrained(tmp_path)
    model = round_trip(f"transformers:{tmp_path}", tmp_path, torch.randn(2, 3, 16, 16))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_transformers_errors(
    transformers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BequeathError, match=r"no config\.json in"):
        build(f"transformers:{tmp_path}", 3, "text")
    with pytest.raises(BequeathError, match=r"no folder .*nowhere; give a folder written by save_pretrained"):
        build(f"transformers:{tmp_path}/nowhere", 3, "text")
    monkeypatch.setattr(
        transformers.AutoConfig, "from_pretrained", Mock(side_effect=OSError("offline\nmore"))
    )
    with pytest.raises(
        BequeathError,
        match=r"own/er is no folder here, and its config could not be fetched from the hub \(OSError: offline\)",
    ):
        build("transformers:own/er", 3, "text")
    monkeypatch.undo()
    transformers.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(
        BequeathError, match="building it failed: ValueError: Unrecognized configuration"
    ) as caught:
        build(f"transformers:{tmp_path}", 3, "text")
    assert "\n" not in str(caught.value)


def test_ours() -> None:
    model = build("bequeath:mobilenet_v2", 7, "image", dropout=0.5)
    assert isinstance(model, MobileNetV2)
    assert model.classifier[1].out_features == 7
    with pytest.raises(BequeathError, match="no model 'mobilenet_v3'; did you mean mobilenet_v2"):
        build("bequeath:mobilenet_v3", 7, "image")


def test_own_builder_gets_the_number_of_classes_where_it_takes_it(own: str) -> None:
    model = build(f"{own}:net", 5, "image", width=6)
    assert [layer.out_features for layer in model] == [6, 5]
    assert build(f"{own}:fixed", 5, "text").out_features == 3
    assert build(f"{own}:anything", 5, "image").out_features == 5
    assert str(Path.cwd()) not in sys.path


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("own_builders:nett", r"'own_builders:nett': no function in own_builders 'nett'; did you mean net"),
        ("own_builders:constant", r"no function in own_builders 'constant'"),
        ("own_builders:nothing", r"returns a NoneType; it must return a torch\.nn\.Module"),
        ("own_builders:failing", r"building it failed: RuntimeError: no such thing$"),
        ("own_needs:net", "importing own_needs needs not_installed_at_all; install it"),
        ("own_broken:net", "importing own_broken failed: ZeroDivisionError"),
        (
            "torchvison:resnet18",
            r"no module 'torchvison' in .* or installed; did you mean torchvision\? give",
        ),
        ("resnet18", r"architecture 'resnet18': give torchvision:NAME, timm:NAME"),
        ("mobilenet_v2", r"did you mean bequeath:mobilenet_v2\?"),
        ("timm:", "give torchvision:NAME"),
    ],
)
def test_bad_names(own: str, architecture: str, message: str) -> None:
    with pytest.raises(BequeathError, match=message) as caught:
        build(architecture, 3, "image")
    assert "\n" not in str(caught.value)


def test_bad_arguments() -> None:
    with pytest.raises(BequeathError, match="num_classes is 0"):
        build("bequeath:mobilenet_v2", 0, "image")
    with pytest.raises(BequeathError, match='modality is "image", "text" or "table", not \'sound\''):
        build("bequeath:mobilenet_v2", 3, "sound")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("library", "extra"), [("torchvision", "vision"), ("timm", "vision"), ("transformers", "text")]
)
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str, extra: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)  # how Python marks a module as not importable
    with pytest.raises(BequeathError, match=rf'needs {library}.*; pip install "bequeath\[{extra}\]"'):
        build(f"{library}:any", 3, "image")


def test_a_broken_library_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        BequeathError, match=r"timm is installed but cannot be imported \(RuntimeError: operator"
    ):
        build("timm:resnet18", 3, "image")


@pytest.mark.parametrize(
    ("architecture", "kind", "message"),
    [
        (
            "bequeath:mobilenet_v2",
            "text",
            "bequeath has image and table models only, but the data are texts; give trans",
        ),
        (
            "bequeath:mobilenet_v2",
            "table",
            "mobilenet_v2 has image models only, but the data are tables; give bequeath:mlp",
        ),
        (
            "bequeath:mlp",
            "image",
            "mlp has table models only, but the data are images; give torchvision:NAME",
        ),
        (
            "timm:resnet18",
            "table",
            "timm has image models only, but the data are tables; give bequeath:mlp or module:func",
        ),
        ("torchvision:resnet18", "table", "torchvision has image models only"),
        ("transformers:bert", "table", "transformers has image and text models only"),
        ("transformers-causal-lm:gpt2", "image", "transformers-causal-lm has text models only"),
    ],
)
def test_kinds_that_do_not_fit(architecture: str, kind: Modality, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        build(architecture, 3, kind)


@pytest.mark.parametrize("widths", [(), (5,), (5, 7)])
def test_mlp(tmp_path: Path, widths: tuple[int, ...]) -> None:
    options = {"num_features": 4, "widths": widths}
    model = build("bequeath:mlp", 3, "table", **options).eval()
    assert find_head(model) == "head"
    sizes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(b, a) for a, b in pairwise((4, *widths, 3))]
    torch.save(model.state_dict(), tmp_path / "w.pt")
    loaded = load_model("bequeath:mlp", tmp_path / "w.pt", 3, "table", **options)
    x = torch.randn(6, 4)
    assert torch.equal(logits(loaded, x), logits(model, x))


def test_mlp_errors() -> None:
    with pytest.raises(BequeathError, match="bequeath:mlp: num_features is not given"):
        build("bequeath:mlp", 3, "table")
    for wrong in (
        {"num_features": 0},
        {"num_features": 2, "widths": (3, 0)},
        {"num_features": 0, "widths": ()},
    ):
        with pytest.raises(BequeathError, match="must be at least 1"):
            build("bequeath:mlp", 3, "table", **wrong)
    with pytest.raises(BequeathError, match='no published weights "hub" for it; give a'):
        load_model("bequeath:mlp", "hub", 3, "table", num_features=2)


@pytest.mark.parametrize("option", ["trust_remote_code", "allow_all_kernels"])
def test_code_from_elsewhere_stays_off(transformers: ModuleType, tmp_path: Path, option: str) -> None:
    architecture = write_config("BertConfig", tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    auto = {"AutoModelForSequenceClassification": "planted.Model"}
    file.write_text(json.dumps({**config, "auto_map": auto}))
    (tmp_path / "planted.py").write_text(
        f"open({str(tmp_path / 'was-run')!r}, 'w').close()\nclass Model: pass\n"
    )
    with pytest.raises(BequeathError, match=rf"{option} would run code from elsewhere"):
        build(architecture, 3, "text", **{option: True})
    assert type(build(architecture, 3, "text", **{option: False})).__name__ == "BertForSequenceClassification"
    assert not (tmp_path / "was-run").exists()
