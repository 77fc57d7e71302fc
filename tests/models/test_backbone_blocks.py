"""A backbone in blocks: as people name its parts, and as `freeze` takes them."""

from importlib import import_module

import pytest
import torch
from torch import nn
from torchvision_shim import ensure_torchvision
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from bequeath.errors import BequeathError
from bequeath.models.block_outputs import call_order, outputs_of, pooled
from bequeath.models.blocks import blocks
from bequeath.models.heads import find_heads
from bequeath.models.mobilenetv2 import mobilenet_v2
from bequeath.training.parts import freeze


def bert():
    return BertForSequenceClassification(
        BertConfig(
            hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8, vocab_size=50
        )
    )


def gpt():
    return GPT2ForSequenceClassification(
        GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=50, n_positions=16)
    )


def vision(name, **kwargs):
    """A model of torchvision; no weights are drawn: the form is what is looked at."""

    def make():
        ensure_torchvision()
        models = import_module("torchvision.models")
        with torch.device("meta"):
            return getattr(models, name)(**kwargs)

    return make


@pytest.mark.parametrize(
    ("build", "titles"),
    [
        (vision("resnet18"), ["conv1 to bn1", "layer1", "layer2", "layer3", "layer4"]),
        (bert, ["bert.embeddings", *(f"bert.encoder.layer.{i}" for i in range(3)), "bert.pooler"]),
        (gpt, ["transformer.wte", "transformer.wpe", "transformer.h.0", "transformer.h.1 to transformer.ln_f"]),
        (
            vision("densenet121"),
            [
                "features.conv0 to features.norm0",
                *(f"features.{one}" for i in (1, 2, 3) for one in (f"denseblock{i}", f"transition{i}")),
                "features.denseblock4 to features.norm5",
            ],
        ),
        (
            vision("vgg16"),
            [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
            + ["classifier.0", "classifier.3"],
        ),
        (
            vision("vit_b_32"),
            [
                "conv_proj",
                *(f"encoder.layers.encoder_layer_{i}" for i in range(11)),
                "encoder.layers.encoder_layer_11 to encoder.ln",
            ],
        ),
    ],
)  # fmt: skip
def test_blocks_are_what_people_call_them_and_freeze_takes_their_names(build, titles):
    model = build()
    found = blocks(model)
    assert [block.title for block in found] == titles
    heads = tuple(f"{head}." for head in find_heads(model))
    every = [name for name, _ in model.named_parameters() if not name.startswith(heads)]
    assert sorted(name for block in found for name in block.parameters) == sorted(every)
    frozen = set()
    for block in found:
        frozen |= set(block.parameters)
        model.requires_grad_(True)
        freeze(model, block.name)
        assert {name for name, one in model.named_parameters() if not one.requires_grad} == frozen


def test_small_neighbours_are_joined():
    found = blocks(mobilenet_v2(5))
    assert len(found) == 16
    assert found[0].title == "features.0 to features.3"
    assert [block.name for block in blocks(mobilenet_v2(5), 2)] == ["features.16", "features.18"]
    assert "features.0.1.running_mean" in found[0].tensors
    assert "features.0.1.running_mean" not in found[0].parameters


def test_classifiers_on_the_way_are_no_blocks():
    model = vision("googlenet", init_weights=False)()
    assert [block.name for block in blocks(model)][-1] == "inception5b"


def test_too_few_blocks():
    with pytest.raises(BequeathError, match="below its head it has only 0"):
        blocks(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)))


def test_what_blocks_give():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(80, 2)
    )
    found = blocks(model)
    x = torch.randn(2, 3, 8, 8)
    assert call_order(model, found, x) == ["1", "2"]
    with outputs_of(model, found) as given, torch.inference_mode():
        model(x)
        assert {name: tuple(one.shape) for name, one in given.items()} == {
            "1": (2, 4, 6, 6),
            "2": (2, 5, 4, 4),
        }
        torch.testing.assert_close(pooled(given["1"]), given["1"].mean((2, 3)))


def test_outputs_are_pooled_over_what_is_attended_to():
    x = torch.randn(2, 3, 4)
    attended = torch.tensor([[1, 1, 0], [1, 1, 1]])
    torch.testing.assert_close(pooled(x, attended), torch.stack((x[0, :2].mean(0), x[1].mean(0))))
    torch.testing.assert_close(pooled(x), x.mean(1))
    last = torch.randn(2, 5, 5, 7)
    torch.testing.assert_close(pooled(last), last.mean((1, 2)))
    assert pooled(torch.randn(2, 6)).shape == (2, 6)
