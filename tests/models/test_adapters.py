"""PEFT adapters against PEFT's own models."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_families import TOKENS, given
from tiny_models import TIMM, write_config
from torch import nn
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs
from bequeath.models import build, load_adapter

CASES: dict[str, dict[str, Any]] = {
    "BertConfig": {"target_modules": ["query", "value"], "task_type": "SEQ_CLS"},
    "RobertaConfig": {"target_modules": ["query"], "modules_to_save": ["classifier"], "use_dora": True},
    "ViTConfig": {"target_modules": ["q_proj", "fc1"], "modules_to_save": ["classifier"]},
    "timm": {"target_modules": ["qkv"], "modules_to_save": ["head"], "rank_pattern": {"qkv": 3}},
}


def base(name: str, folder: Path, classes: int = 3) -> nn.Module:
    torch.manual_seed(5)
    if name == "timm":
        ensure_torchvision()
        pytest.importorskip("timm", reason="timm is not installed")
        architecture, options, _ = TIMM["VisionTransformer"]
        return build(architecture, classes, "image", **options).eval()
    kind = "image" if name == "ViTConfig" else "text"
    return build(write_config(name, folder / "base"), classes, kind).eval()


def inputs(name: str) -> Inputs:
    return TOKENS if name in ("BertConfig", "RobertaConfig") else torch.randn(2, 3, 32, 32)


def adapted(name: str, folder: Path, **save: Any) -> nn.Module:
    """PEFT's own model with a random adapter and head, saved into `folder`."""
    peft = pytest.importorskip("peft", reason="peft is not installed")
    config = peft.LoraConfig(r=2, lora_alpha=8, init_lora_weights=False, **CASES[name])
    model = peft.get_peft_model(base(name, folder), config)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "modules_to_save" in key or "magnitude" in key:
                value.add_(torch.randn_like(value))
    model.save_pretrained(folder / "adapter", **save)
    return model.eval()


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_pefts(transformers: ModuleType, tmp_path: Path, name: str) -> None:
    theirs = adapted(name, tmp_path)
    plain = base(name, tmp_path)
    x = inputs(name)
    before = given(plain, x)
    ours = load_adapter(plain, tmp_path / "adapter")
    expected = given(theirs, x)
    torch.testing.assert_close(given(ours, x), expected)
    assert not torch.allclose(before, expected, atol=1e-2)
    assert type(ours) is type(plain)
    assert not ours.training
    assert torch.equal(given(plain, x), before)  # left as it was
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


def test_pickled_adapters_without_code(transformers: ModuleType, tmp_path: Path) -> None:
    theirs = adapted("BertConfig", tmp_path)
    folder = tmp_path / "adapter"
    state = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(state, folder / "adapter_model.bin")
    ours = load_adapter(base("BertConfig", tmp_path), folder)
    torch.testing.assert_close(given(ours, TOKENS), given(theirs, TOKENS))

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "was-run",)

    torch.save({**state, "x": Evil()}, folder / "adapter_model.bin")
    with pytest.raises(BequeathError, match=r"adapter_model\.bin: refused, since it holds"):
        load_adapter(base("BertConfig", tmp_path), folder)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_what_does_not_fit(transformers: ModuleType, tmp_path: Path) -> None:
    adapted("BertConfig", tmp_path)
    folder = tmp_path / "adapter"
    with pytest.raises(
        BequeathError, match=r"adapter .*nowhere: no such folder; give a folder written by PEFT"
    ):
        load_adapter(base("BertConfig", tmp_path), tmp_path / "nowhere")
    with pytest.raises(BequeathError, match=r"no adapter_config\.json in it"):
        load_adapter(base("BertConfig", tmp_path), tmp_path)
    with pytest.raises(
        BequeathError,
        match=r"classifier\.weight has shape \(3, 8\) in it, the base needs \(5, 8\)\); give the base",
    ):
        load_adapter(base("BertConfig", tmp_path, classes=5), folder)
    with pytest.raises(
        BequeathError, match=r"it changes bert\.encoder\.\S+, but RobertaForSeq\w+ has no such layer"
    ):
        load_adapter(base("RobertaConfig", tmp_path), folder)
    wide = write_config("BertConfig", tmp_path / "wide", hidden_size=12)
    with pytest.raises(BequeathError, match=r"\w+ has shape \(2, 8\) in it, the base needs \(2, 12\)"):
        load_adapter(build(wide, 3, "text"), folder)
    shallow = write_config("BertConfig", tmp_path / "shallow", num_hidden_layers=1)
    with pytest.raises(BequeathError, match=r"it changes bert\.encoder\.layer\.1\.\S+, but Bert"):
        load_adapter(build(shallow, 3, "text"), folder)
    state = load_file(folder / "adapter_model.safetensors")
    part = next(name for name in state if "lora_B" in name)
    less = {name: value for name, value in state.items() if name != part}
    more = {**state, part.replace("query", "key"): state[part].clone()}
    for wrong, message in (
        (less, r"query\.lora_B\.weight is missing from it \(1 such\)"),
        (more, r"key\.lora_B\.weight is in it, but adapter_config\.json does not describe it"),
    ):
        save_file(wrong, folder / "adapter_model.safetensors")
        with pytest.raises(BequeathError, match=message):
            load_adapter(base("BertConfig", tmp_path), folder)
    (folder / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(BequeathError, match="damaged or no safetensors file"):
        load_adapter(base("BertConfig", tmp_path), folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(BequeathError, match=r"no adapter_model\.safetensors or adapter_model\.bin in it"):
        load_adapter(base("BertConfig", tmp_path), folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BequeathError, match=r"adapter_config\.json names no peft_type"):
        load_adapter(base("BertConfig", tmp_path), folder)
    planted = {"peft_type": "LORA", "megatron_config": {"a": 1}, "megatron_core": "planted"}
    (folder / "adapter_config.json").write_text(json.dumps(planted))
    with pytest.raises(
        BequeathError, match=r"names a module to import \(megatron_core\), but a data file may not run"
    ):
        load_adapter(base("BertConfig", tmp_path), folder)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "PROMPT_TUNING"}))
    with pytest.raises(BequeathError, match="PROMPT_TUNING adds inputs, not weights"):
        load_adapter(base("BertConfig", tmp_path), folder)
