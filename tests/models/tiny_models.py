"""Small classifiers for the tests of this folder: builders for ``module:function``, folders for ``transformers:``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from torch import Tensor, nn

_linear = nn.Linear


class TinyNet(nn.Module):
    """Convolution, normalisation, and a head called `fc`."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


# torchvision's builders of these take no sizes: the same classes, as small as their constructors allow.


def vgg(num_classes: int) -> nn.Module:
    from torchvision.models.vgg import VGG, make_layers

    # Its constructor fixes two layers of 119 million parameters: narrower ones in their place.
    with mock.patch.object(
        nn, "Linear", lambda a, b: _linear(min(a, 8 * 49) if a > 4096 else 16, min(b, 16))
    ):
        return VGG(make_layers([4, "M", 8, "M"], batch_norm=True), num_classes, init_weights=False)


def convnext(num_classes: int) -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=num_classes)


def efficientnet(num_classes: int) -> nn.Module:
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    return EfficientNet([MBConvConfig(2, 3, 2, 8, 8, 1, 1, 1)], dropout=0.2, num_classes=num_classes)


def vit(num_classes: int) -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, 1, 2, 8, 16, num_classes=num_classes)


def swin(num_classes: int) -> nn.Module:
    from torchvision.models import SwinTransformer

    return SwinTransformer([4, 4], 8, [1, 1], [1, 2], [2, 2], num_classes=num_classes)


def resnet(num_classes: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes, width_per_group=64)


TORCHVISION: dict[str, tuple[str, dict[str, Any], str]] = {
    "VGG": ("tiny_models:vgg", {}, "classifier.6"),
    "ResNet": ("tiny_models:resnet", {}, "fc"),
    "EfficientNet": ("tiny_models:efficientnet", {}, "classifier.1"),
    "MobileNetV2": ("torchvision:mobilenet_v2", {"width_mult": 0.1}, "classifier.1"),
    "MobileNetV3": ("torchvision:mobilenet_v3_small", {"width_mult": 0.25}, "classifier.3"),
    "ConvNeXt": ("tiny_models:convnext", {}, "classifier.2"),
    "VisionTransformer": ("tiny_models:vit", {}, "heads.head"),
    "SwinTransformer": ("tiny_models:swin", {}, "head"),
}
_vit = {"img_size": 32, "patch_size": 8, "embed_dim": 8, "depth": 1, "num_heads": 2}
TIMM: dict[str, tuple[str, dict[str, Any], str]] = {
    "ResNet": ("timm:resnet10t", {"channels": (8, 8, 8, 8), "stem_width": 8}, "fc"),
    "EfficientNet": ("timm:efficientnet_b0", {}, "classifier"),
    "VisionTransformer": ("timm:vit_tiny_patch16_224", _vit, "head"),
    "DeiT": ("timm:deit_tiny_patch16_224", _vit, "head"),
    "SwinTransformer": (
        "timm:swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2)},
        "head.fc",
    ),
    "ConvNeXt": ("timm:convnext_atto", {"depths": (1, 1, 1, 1), "dims": (4, 8, 8, 8)}, "head.fc"),
}
DISTILLED = ("timm:deit_tiny_distilled_patch16_224", _vit)

_small = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
_words = {"vocab_size": 12, "pad_token_id": 0}
TEXT: dict[str, dict[str, Any]] = {
    "BertConfig": {**_words, **_small},
    "DistilBertConfig": {**_words, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 8},
    "RobertaConfig": {
        **_words,
        **_small,
        "max_position_embeddings": 20,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
}
IMAGE: dict[str, dict[str, Any]] = {
    "ViTConfig": {**_small, "image_size": 32, "patch_size": 8},
    "DeiTConfig": {**_small, "image_size": 32, "patch_size": 8},
    "SwinConfig": {"image_size": 32, "embed_dim": 4, "depths": [1, 1], "num_heads": [1, 1], "window_size": 2},
    "ConvNextConfig": {"hidden_sizes": [4, 4, 4, 4], "depths": [1, 1, 1, 1]},
    "ResNetConfig": {"embedding_size": 4, "hidden_sizes": [4, 4], "depths": [1, 1]},
}
CAUSAL: dict[str, dict[str, Any]] = {
    "GPT2Config": {
        "vocab_size": 12,
        "n_embd": 8,
        "n_layer": 2,
        "n_head": 2,
        "n_positions": 16,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
    "LlamaConfig": {**_words, **_small, "num_key_value_heads": 2, "max_position_embeddings": 16},
}
CONFIGS = {**TEXT, **IMAGE, **CAUSAL}


def write_config(name: str, folder: Path, **options: Any) -> str:
    """Write a tiny config of transformers; gives the architecture's name."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    getattr(transformers, name)(**{**CONFIGS[name], **options}).save_pretrained(folder)
    return f"{'transformers-causal-lm' if name in CAUSAL else 'transformers'}:{folder}"


WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "birds",
    "sing",
    "loudly",
    "and",
    "fly",
    "south",
    "home",
)


def tiny_tokenizer(causal: bool = False) -> Any:
    """A tokenizer with one token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if not causal:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    wrap = partial(PreTrainedTokenizerFast, tokenizer_object=tokenizer)
    return wrap(**{f"{name}_token": token for name, token in special.items()})
