"""Loading of state files, its reports, and calling models."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import TinyNet
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import logits
from bequeath.models import check_outputs, load_model, load_weights, num_outputs, read_state

CIFAR = Path(__file__).resolve().parents[2] / "../shared/data/weights_cifar10"


def other() -> TinyNet:
    torch.manual_seed(9)
    return TinyNet().eval()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "th", "ckpt", "pth.tar", "safetensors"])
def test_every_suffix(tiny: TinyNet, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(tiny.state_dict(), path)
    model = other()
    assert load_weights(model, str(path)) is model
    assert same(tiny, model)


@pytest.mark.parametrize(
    "nesting", [("state_dict",), ("model",), ("model_state_dict",), ("model", "state_dict")]
)
@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "_orig_mod.", "module._orig_mod.", "model._orig_mod."]
)
def test_wrappings_are_taken_off(
    tiny: TinyNet, tmp_path: Path, nesting: tuple[str, ...], prefix: str
) -> None:
    content: dict = {prefix + name: value for name, value in tiny.state_dict().items()}
    for key in nesting:
        content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "w.pt")
    assert same(tiny, load_weights(other(), tmp_path / "w.pt"))


def test_a_name_that_fits_is_not_stripped(tmp_path: Path) -> None:
    model = nn.ModuleDict({"model": nn.Linear(2, 2)})
    torch.save(model.state_dict(), tmp_path / "w.pt")
    loaded = load_weights(nn.ModuleDict({"model": nn.Linear(2, 2)}), tmp_path / "w.pt")
    assert same(model, loaded)


def test_incidental_names_do_not_matter(tiny: TinyNet, tmp_path: Path) -> None:
    state = {k: v for k, v in tiny.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({**state, "embeddings.position_ids": torch.arange(3)}, tmp_path / "w.pt")
    assert same(tiny, load_weights(other(), tmp_path / "w.pt"))


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        return model

    saved = tied()
    state = {name: value for name, value in saved.state_dict().items() if name != "1.weight"}
    save_file(state, tmp_path / "w.safetensors")
    assert same(saved, load_weights(tied(), tmp_path / "w.safetensors"))


def test_missing_and_unexpected_names_are_reported(tiny: TinyNet, tmp_path: Path) -> None:
    state = {k: v for k, v in tiny.state_dict().items() if not k.startswith("bn")}
    torch.save({**state, "extra.weight": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(
        BequeathError,
        match=r"w\.pt: names do not fit TinyNet: 4 missing from the file \(bn\.weight, bn\.bias, "
        r"bn\.running_mean, \.\.\. \(4 in all\)\); 1 not in the model \(extra\.weight\); check the architecture",
    ):
        load_weights(other(), tmp_path / "w.pt")
    model = other()
    load_weights(model, tmp_path / "w.pt", strict=False)
    assert torch.equal(model.fc.weight, tiny.fc.weight)


def test_a_file_of_which_nothing_fits_is_refused_even_when_not_strict(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(
        BequeathError,
        match=r"none of its 1 names fits TinyNet \(the file has: a; the model needs: conv\.weight,",
    ):
        load_weights(other(), tmp_path / "w.pt", strict=False)


def test_another_number_of_classes_is_explained(tmp_path: Path) -> None:
    torch.save(TinyNet(10).state_dict(), tmp_path / "w.pt")
    with pytest.raises(
        BequeathError, match=r"w\.pt: the saved model has 10 outputs \(fc\.weight\), the labels need 3; give"
    ):
        load_weights(other(), tmp_path / "w.pt")


def test_skip_leaves_the_head_alone(tiny: TinyNet, tmp_path: Path) -> None:
    torch.save({**tiny.state_dict(), **TinyNet(10).fc.state_dict(prefix="fc.")}, tmp_path / "w.pt")
    model = other()
    head = model.fc.weight.clone()
    load_weights(model, tmp_path / "w.pt", skip=["fc"])
    assert torch.equal(model.conv.weight, tiny.conv.weight)
    assert torch.equal(model.fc.weight, head)


def test_other_shapes_are_listed(tiny: TinyNet, tmp_path: Path) -> None:
    torch.save({**tiny.state_dict(), "conv.weight": torch.ones(8, 3, 3, 3)}, tmp_path / "w.pt")
    with pytest.raises(
        BequeathError,
        match=r"w\.pt: 1 shapes differ .*\(conv\.weight \(8, 3, 3, 3\) for \(4, 3, 3, 3\)\); check",
    ):
        load_weights(other(), tmp_path / "w.pt", strict=False)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "was-run",)

    torch.save({"state_dict": {}, "x": Evil()}, tmp_path / "w.pt")
    with pytest.raises(BequeathError, match=r"w\.pt: refused, since it holds "):
        read_state(tmp_path / "w.pt")
    assert not (tmp_path / "was-run").exists()
    torch.save({"state_dict": {}, "args": nn.ReLU()}, tmp_path / "v.pt")
    with pytest.raises(
        BequeathError, match=r"it holds torch\.nn\.modules\.activation\.ReLU and .* convert it: .*save_file"
    ) as caught:
        read_state(tmp_path / "v.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pt", b"", r"w\.pt: damaged, or not a file of torch\.save \(EOFError"),
        ("w.pt", b"hello", r"w\.pt: damaged, or not a file"),
        ("w.pt", b"<!DOCTYPE html>", r"w\.pt: not a file of torch\.save; give"),
        ("w.safetensors", b"hello hello hello", r"w\.safetensors: damaged or no safetensors file"),
        ("w.h5", b"", r"w\.h5: \.h5 suffix is unknown; give \.safetensors, \.bin"),
        ("w", b"", "w: no suffix is unknown"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BequeathError, match=message) as caught:
        read_state(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_zip_file_with_names_that_are_no_text(tiny: TinyNet, tmp_path: Path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    # The directory at the end says that names are UTF-8 (bit 11 of the flags), and one is not.
    start = content.rindex(b"PK\x01\x02")
    entry = bytearray(content[start:])
    entry[8:10], entry[46] = b"\x00\x08", 0xA9
    (tmp_path / "w.pt").write_bytes(content[:start] + entry)
    with pytest.raises(BequeathError, match=r"w\.pt: (damaged, or )?not a file of torch\.save") as caught:
        read_state(tmp_path / "w.pt")
    assert "\n" not in str(caught.value)


def test_the_end_of_a_zip_file_of_many_disks(tiny: TinyNet, tmp_path: Path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    locator = b"PK\x06\x07" + (1).to_bytes(4, "little") + bytes(8) + (9).to_bytes(4, "little")
    end = content.rindex(b"PK\x05\x06")
    before = content.rfind(b"PK\x06\x07", 0, end)
    (tmp_path / "w.pt").write_bytes(content[: end if before < 0 else before] + locator + content[end:])
    # Python's zip reader refuses it; torch's own does not look there.
    assert read_state(tmp_path / "w.pt").keys() == tiny.state_dict().keys()


def test_a_zip_file_whose_names_hold_ends_of_lines(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("a\n\x1b[31mb", "")
    with pytest.raises(BequeathError, match=r"a zip file that torch\.save did not write") as caught:
        read_state(tmp_path / "w.pt")
    assert r"a\n\x1b[31mb" in str(caught.value)


def test_an_index_whose_files_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"conv.weight": 5}}')
    with pytest.raises(BequeathError, match="not an index of state files"):
        read_state(tmp_path)


def test_a_cut_file(tiny: TinyNet, tmp_path: Path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BequeathError, match=r"w\.pt: damaged, or not a file of torch\.save \(RuntimeError"):
        read_state(tmp_path / "w.pt")


def test_files_without_a_state_dict(tmp_path: Path) -> None:
    with pytest.raises(BequeathError, match=r"no\.pt: the file does not exist"):
        read_state(tmp_path / "no.pt")
    with pytest.raises(BequeathError, match=r"no model\.safetensors or pytorch_model\.bin in this folder"):
        read_state(tmp_path)
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "w.pt")
    with pytest.raises(BequeathError, match=r"w\.pt: it holds no state dict but a dict of epoch, lr; save"):
        read_state(tmp_path / "w.pt")
    torch.save(torch.ones(2), tmp_path / "t.pt")
    with pytest.raises(BequeathError, match=r"t\.pt: it holds no state dict but a Tensor"):
        read_state(tmp_path / "t.pt")


def test_a_backbone_without_its_prefix_finds_its_place(transformers: ModuleType, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    backbone = transformers.BertModel(config)
    save_file(backbone.state_dict(), tmp_path / "w.safetensors")
    model = transformers.BertForSequenceClassification(config)
    load_weights(model, tmp_path / "w.safetensors", skip=["classifier"])
    assert same(backbone, model.bert)


def test_load_model_needs_weights_unless_the_builder_brings_them() -> None:
    with pytest.raises(BequeathError, match=r"weights of bequeath:mobilenet_v2: none given"):
        load_model("bequeath:mobilenet_v2", None, 3, "image")
    assert not load_model("tiny_models:TinyNet", None, 3, "image").training


@pytest.mark.skipif(not CIFAR.is_dir(), reason="needs ../shared/data/weights_cifar10")
def test_a_published_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CIFAR.parent)
    model = load_model("resnet_cifar:ResNetCifar", CIFAR / "resnet20-12fca82f.th", 10, "image")
    check_outputs(model, torch.zeros(2, 3, 32, 32), 10, "resnet20")
    with pytest.raises(BequeathError, match=r"has 10 outputs \(linear\.weight\), the labels need 7"):
        load_model("resnet_cifar:ResNetCifar", CIFAR / "resnet20-12fca82f.th", 7, "image")


class Gives(nn.Module):
    """Gives what it was told to, whatever it is given."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> object:
        return self.output


def test_logits_of_the_usual_forms(tiny: TinyNet, images: Tensor) -> None:
    assert torch.equal(logits(tiny, images), tiny(images))
    assert torch.equal(logits(tiny, {"x": images}), tiny(images))
    wanted = torch.ones(2, 3)
    assert logits(Gives(SimpleNamespace(logits=wanted)), torch.ones(2)) is wanted


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((torch.ones(2, 3),), r"model Gives: returns a tuple; it must return logits \(batch, classes\)"),
        (torch.ones(2), r"model Gives: output has shape \(2,\) for 2 inputs; it must be \(batch, classes\)"),
        (torch.ones(1, 3), r"output has shape \(1, 3\) for 2 inputs"),
        (torch.ones(2, 3, 4, 4), r"output has shape \(2, 3, 4, 4\)"),
    ],
)
def test_logits_of_other_forms_are_refused(output: object, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        logits(Gives(output), torch.ones(2))


def test_check_outputs(tiny: TinyNet, images: Tensor) -> None:
    tiny.train()
    tiny.bn.eval()
    check_outputs(tiny, images, 3, "finetuned")
    assert num_outputs(tiny, images) == 3
    assert (tiny.training, tiny.bn.training, tiny.fc.training) == (True, False, True)
    with pytest.raises(BequeathError, match="finetuned: 3 outputs, but the data have 4 classes"):
        check_outputs(tiny, images, 4, "finetuned")
    images[2] = torch.nan
    with pytest.raises(BequeathError, match=r"finetuned: output \[nan, nan, nan\] on input 2 is not finite"):
        check_outputs(tiny, images, 3, "finetuned")
