"""Model families at their published sizes, random weights: one small value table each, as a markdown table.

Only configurations are needed, no weights: `python benchmarks/families.py` takes a few minutes on two cores.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

import bequeath as bq
from bequeath.games.inputs import Modality
from bequeath.games.reuse import cost, cuts
from bequeath.models import build, find_head
from bequeath.models.heads import find_heads

WORDS = ("birds", "sing", "very", "loudly")
# Family, architecture, caveat.
IMAGES = (
    ("VGG", "torchvision:vgg16", "two layers before the head, 119 M parameters, belong to `classifier`"),
    ("ResNet", "torchvision:resnet18", ""),
    ("ResNet", "torchvision:resnet50", "V1 and V2 weights want different resizing (256, 232)"),
    ("ResNet", "timm:resnet50", "timm prepares with crop 0.95, torchvision with 0.875 or 0.965"),
    ("EfficientNet", "torchvision:efficientnet_b0", ""),
    (
        "EfficientNet",
        "timm:efficientnet_b0",
        "normalisation and activation are one layer: `fused_for_inference` leaves it as it is",
    ),
    ("MobileNetV2", "torchvision:mobilenet_v2", "ours, `bequeath:mobilenet_v2`, needs no torchvision"),
    ("MobileNetV3", "torchvision:mobilenet_v3_large", "one layer before the head belongs to `classifier`"),
    ("ConvNeXt", "torchvision:convnext_tiny", ""),
    ("ConvNeXt", "timm:convnext_tiny", ""),
    ("ViT", "torchvision:vit_b_16", "takes 224 x 224 only, unless `image_size` is given"),
    ("ViT", "timm:vit_small_patch16_224", "takes 224 x 224 only, unless `img_size` is given"),
    ("DeiT", "timm:deit_small_patch16_224", ""),
    ("DeiT, distilled", "timm:deit_small_distilled_patch16_224", "two heads; `load_backbone` makes them one"),
    ("Swin", "torchvision:swin_t", ""),
    ("Swin", "timm:swin_tiny_patch4_window7_224", "takes 224 x 224 only, unless `img_size` is given"),
)
CONFIGS: tuple[tuple[str, str, str, dict[str, Any], str], ...] = (
    ("ViT", "image", "ViTConfig", {}, "base files carry a pooler, which is not used"),
    ("BERT", "text", "BertConfig", {}, "files without a pooler (masked language models): it is random"),
    ("DistilBERT", "text", "DistilBertConfig", {}, "base files: `pre_classifier` is random"),
    (
        "RoBERTa",
        "text",
        "RobertaConfig",
        {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1},
        "positions count the tokens that are not pad: hide with the mask token, a pad token would move the words "
        "behind it; 512 tokens at most; base files: `classifier.dense` is random",
    ),
    (
        "MiniLM",
        "text",
        "BertConfig",
        {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
        "a BERT; it was trained for the mean of its tokens, the head reads the pooler",
    ),
    (
        "GPT-2",
        "causal",
        "GPT2Config",
        {},
        "its tokenizer has no mask and no pad token: set `tokenizer.pad_token`, hide by `removal` or `pad`",
    ),
)


def tokenizer(vocabulary: int) -> Any:
    """One token a word; no files needed."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate((*special, *WORDS))}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    assert vocabulary > len(special) + len(WORDS)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def models() -> Iterator[tuple[str, str, str, Modality, str]]:
    """Family, architecture, name to show, kind, caveat."""
    for family, architecture, caveat in IMAGES:
        yield family, architecture, architecture, "image", caveat
    import transformers

    for family, kind, config, options, caveat in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            getattr(transformers, config)(**options).save_pretrained(folder)
            source = "transformers-causal-lm" if kind == "causal" else "transformers"
            yield (
                family,
                f"{source}:{folder}",
                f"{source}:FOLDER",
                "image" if kind == "image" else "text",
                caveat,
            )


def table_seconds(model: nn.Module, kind: Modality, causal: bool) -> tuple[str, float]:
    """The shape of the model's input, and the seconds of one table of 16 values."""
    if kind == "image":
        size = "3 x 224 x 224"
        value = bq.values.log_odds(3)
        image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))
        game = bq.Game(model, image, bq.players.grid(2, 2), bq.baselines.mean(), value)
    else:
        size = "4 words"
        words = bq.players.words(tokenizer(100))
        value = bq.values.next_token(7) if causal else bq.values.log_odds(1)
        game = bq.Game(model, " ".join(WORDS), words, bq.baselines.mask_token(), value)
    game.table()  # once to warm up
    start = time.perf_counter()
    table = game.table()
    took = time.perf_counter() - start
    assert table.shape == (16,)
    assert len(table.unique()) > 8
    return size, took


def work_left(model: nn.Module) -> str:
    """Work of all 65,536 masks of a 4 x 4 grid with reuse of early layers, as a share of the work without reuse."""
    image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))
    masked = bq.players.grid(4, 4).bind(image, bq.baselines.mean(), model)
    with torch.inference_mode():
        return f"{min([1.0, *(cost(cut, 2**16) for cut in cuts(model, masked))]):.2f}"


def settle(model: nn.Module) -> nn.Module:
    """Change a random model so that its outputs depend on its inputs, as those of a trained model do."""
    for head in find_heads(model):  # some start at zero
        nn.init.normal_(model.get_submodule(head).weight, std=0.02)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.momentum = 1.0
    if norms:
        with torch.no_grad():
            model.train()(torch.randn(4, 3, 224, 224))
    return model.eval()


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, random weights\n")
    columns = "family | architecture | class | head | parameters, M | input | s, one table of 16 | work left | caveat"
    print(f"| {columns} |\n|{'---|' * 9}")
    for family, architecture, shown, kind, caveat in models():
        torch.manual_seed(0)
        classes = 1000 if kind == "image" else 2
        model = settle(build(architecture, classes, kind))
        size, took = table_seconds(model, kind, architecture.startswith("transformers-causal-lm"))
        heads = find_heads(model)
        head = find_head(model) if len(heads) == 1 else " + ".join(heads)
        left = work_left(model) if kind == "image" else "-"
        millions = sum(p.numel() for p in model.parameters()) / 1e6
        print(
            f"| {family} | `{shown}` | {type(model).__name__} | `{head}` | {millions:.1f} | {size} | {took:.2f} | "
            f"{left} | {caveat} |",
            flush=True,
        )


if __name__ == "__main__":
    if (
        "--tests" in sys.argv
    ):  # torchvision beside torch's CPU wheel, as the tests of this repository import it
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        import conftest  # noqa: F401
    main()
