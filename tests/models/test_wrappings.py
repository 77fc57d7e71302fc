"""Names in files against names in models: what is taken off, what is left out, and what stays an error."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import TinyNet
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bequeath.errors import BequeathError, BequeathWarning
from bequeath.models import load_model, load_weights, read_state

State = dict[str, Tensor]


def other() -> TinyNet:
    torch.manual_seed(9)
    return TinyNet().eval()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def saved(folder: Path, state: State) -> Path:
    torch.save(state, folder / "w.pt")
    return folder / "w.pt"


def begin(prefix: str) -> Callable[[State], State]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


def inside(part: str, wrapper: str) -> Callable[[State], State]:
    return lambda state: {
        name.replace(f"{part}.", f"{part}.{wrapper}."): value for name, value in state.items()
    }


@pytest.mark.parametrize(
    "wrap",
    [
        begin("net."),
        begin("a.b.c."),
        begin("model.module._orig_mod."),
        begin("_orig_mod.module."),
        inside("conv", "_orig_mod"),
        inside("fc", "module"),
        lambda state: begin("classifier.")(inside("bn", "_orig_mod.module")(state)),
        # Some layers compiled, all of them in DDP.
        lambda state: begin("module.")(inside("conv", "_orig_mod")(state)),
    ],
)
def test_wrappings_by_rule(tiny: TinyNet, tmp_path: Path, wrap: Callable[[State], State]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(tiny, load_weights(other(), saved(tmp_path, wrap(tiny.state_dict()))))


def test_a_part_of_the_model_may_be_called_as_a_wrapper(tmp_path: Path) -> None:
    def net() -> nn.Module:
        return nn.ModuleDict({"module": nn.Linear(2, 2), "fc": nn.Linear(2, 3)})

    model = net()
    for wrap in (begin(""), begin("module."), begin("net.")):
        assert same(model, load_weights(net(), saved(tmp_path, wrap(model.state_dict()))))


def test_a_bare_layer_finds_its_place_in_no_larger_model_by_chance(tmp_path: Path) -> None:
    larger = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(
        BequeathError, match=r"several sets of weights that fit Linear: 0\.\* and 1\.\*; choose with"
    ):
        load_weights(nn.Linear(2, 2), saved(tmp_path, larger.state_dict()))
    one = load_weights(nn.Linear(2, 2), tmp_path / "w.pt", weights_key="1")
    assert same(larger[1], one)


@pytest.mark.parametrize(
    ("wrap", "beside", "told"),
    [
        (begin("model."), {"loss.weight": torch.ones(3)}, "loss.weight"),
        (begin("model."), {"lpips.net.0.weight": torch.ones(4, 3, 3, 3)}, "lpips.net.0.weight"),
        (begin("module."), {"n_averaged": torch.tensor(5)}, "n_averaged"),
        (begin(""), {"n_averaged": torch.tensor(5)}, "n_averaged"),
        (begin(""), {"criterion.weight": torch.ones(3)}, "criterion.weight"),
        (begin(""), {"arcLoss.centres": torch.ones(3, 4)}, "arcLoss.centres"),
        (begin(""), {"train_acc.tp": torch.ones(3, dtype=torch.long)}, "train_acc.tp"),
        (begin("net."), {"val.confmat": torch.ones(3, 3, dtype=torch.long)}, "val.confmat"),
        (begin(""), {"temperature": torch.tensor(0.1)}, "temperature"),
    ],
)
def test_what_belongs_to_no_part_of_the_model_is_left_out_and_told(
    tiny: TinyNet, tmp_path: Path, wrap: Callable[[State], State], beside: State, told: str
) -> None:
    path = saved(tmp_path, {**wrap(tiny.state_dict()), **beside})
    with pytest.warns(BequeathWarning, match=rf"w\.pt: left out, since they are not the model's: {told}$"):
        assert same(tiny, load_weights(other(), path))


@pytest.mark.parametrize(
    "beside",
    [
        {"conv2.weight": torch.ones(4, 4, 3, 3)},
        {"conv_2.bias": torch.ones(4)},
        {"fc.extra.weight": torch.ones(3)},
        {"bn.scale": torch.ones(4)},
        {"stage.0.weight": torch.ones(4, 4)},
        {"norm.weight": torch.ones(4), "norm.bias": torch.ones(4)},
        {"pos_embed": torch.ones(1, 5, 4)},
        {"3.weight": torch.ones(4)},
    ],
)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_layers_of_a_larger_body_stay_an_error(
    tiny: TinyNet, tmp_path: Path, beside: State, prefix: str
) -> None:
    path = saved(tmp_path, begin(prefix)({**tiny.state_dict(), **beside}))
    with pytest.raises(BequeathError, match=rf"not in the model \({next(iter(beside))}") as caught:
        load_weights(other(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [("model.", "ema_model.module."), ("student.", "teacher."), ("encoder_q.", "encoder_k.")],
)
def test_a_model_that_stands_twice_in_a_file_is_asked_about(
    tiny: TinyNet, tmp_path: Path, first: str, second: str
) -> None:
    state = {**begin(first)(other().state_dict()), **begin(second)(tiny.state_dict())}
    path = saved(tmp_path, {"state_dict": state})  # type: ignore[dict-item]
    key = second.partition(".")[0]
    with pytest.raises(
        BequeathError, match=r"several sets of weights that fit TinyNet: \S+ and \S+; choose with"
    ):
        load_weights(TinyNet(), path)
    assert same(tiny, load_weights(TinyNet(), path, weights_key=key))
    assert same(other(), load_weights(TinyNet(), path, weights_key=f"state_dict.{first[:-1]}"))


def test_a_model_that_stands_beside_its_average(tiny: TinyNet, tmp_path: Path) -> None:
    path = saved(tmp_path, {**tiny.state_dict(), **begin("ema.module.")(other().state_dict())})
    with pytest.raises(
        BequeathError, match=r"those without a prefix and ema\S+; choose with .* weights_key: ema"
    ):
        load_weights(TinyNet(), path)
    assert same(other(), load_weights(TinyNet(), path, weights_key="ema"))


def test_the_same_model_under_two_names_is_no_question(tiny: TinyNet, tmp_path: Path) -> None:
    state = tiny.state_dict()
    path = saved(tmp_path, {**begin("model.")(state), **begin("net.")(state)})
    with pytest.warns(UserWarning, match="left out"):
        assert same(tiny, load_weights(other(), path))


def test_averaged_and_compiled_models(tiny: TinyNet, tmp_path: Path) -> None:
    compiled = other()
    compiled.conv = torch.compile(compiled.conv)  # type: ignore[assignment]
    compiled.load_state_dict(inside("conv", "_orig_mod")(tiny.state_dict()))
    for model in (torch.compile(tiny), compiled):
        assert same(tiny, load_weights(other(), saved(tmp_path, model.state_dict())))
    with pytest.warns(UserWarning, match="left out, .*: n_averaged"):
        assert same(tiny, load_weights(other(), saved(tmp_path, AveragedModel(tiny).state_dict())))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: (10 * v).to(torch.int8),
            r"conv\.weight holds int8, the model computes with float32; quantised",
        ),
        (lambda v: (10 * v).to(torch.uint8), "holds uint8"),
        (lambda v: (10 * v).to(torch.int32), "holds int32"),
        (lambda v: v > 0, "holds bool"),
        (lambda v: v.to(torch.float8_e4m3fn), "holds float8_e4m3fn"),
        (lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), "holds qint8"),
        (lambda v: v.to(torch.complex64), "holds complex64, .* give real weights"),
    ],
)
def test_numbers_of_another_kind_are_refused(
    tiny: TinyNet, tmp_path: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    state = tiny.state_dict()
    with pytest.raises(BequeathError, match=message) as caught:
        load_weights(other(), saved(tmp_path, {**state, "conv.weight": change(state["conv.weight"])}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(tiny: TinyNet, tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in tiny.state_dict().items()}
    model = load_weights(other(), saved(tmp_path, state))
    assert torch.equal(model.conv.weight, tiny.conv.weight.to(dtype).float())


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_weights_are_what_they_stand_for(tiny: TinyNet, tmp_path: Path, layout: torch.layout) -> None:
    with torch.no_grad():
        tiny.fc.weight[0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls one of the layouts experimental
        sparse = tiny.fc.weight.detach().to_sparse(layout=layout)
    path = saved(tmp_path, {**tiny.state_dict(), "fc.weight": sparse})
    assert same(tiny, load_weights(other(), path))


def test_whole_numbers_that_were_halved_are_compared(tmp_path: Path) -> None:
    class Table(nn.Module):
        def __init__(self, last: int) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.register_buffer("index", torch.arange(last - 3, last))

    for last, fits in ((100, True), (5000, False)):
        model = Table(last)
        path = saved(tmp_path, {name: value.half() for name, value in model.state_dict().items()})
        if fits:
            assert torch.equal(load_weights(Table(last), path).index, model.index)  # type: ignore[arg-type]
        else:
            with pytest.raises(
                BequeathError, match=r"index holds float16, the model has int64, and the values differ"
            ):
                load_weights(Table(last), path)


def test_dynamic_quantisation_and_bitsandbytes_are_named(tiny: TinyNet, tmp_path: Path) -> None:
    state = {name: value for name, value in tiny.state_dict().items() if not name.startswith("fc")}
    packed = {**state, "fc.scale": torch.tensor(1.0), "fc.zero_point": torch.tensor(0)}
    with pytest.raises(
        BequeathError, match=r"names do not fit .*; it looks quantised: give the float weights"
    ):
        load_weights(other(), saved(tmp_path, packed))
    whole = tiny.state_dict()
    bits = {**whole, "fc.weight": whole["fc.weight"].to(torch.int8), "fc.SCB": torch.ones(3)}
    with pytest.raises(BequeathError, match=r"fc\.weight holds int8"):
        load_weights(other(), saved(tmp_path, bits))


def test_programs_are_no_state_dicts(tiny: TinyNet, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(tiny, torch.rand(1, 3, 8, 8)), tmp_path / "w.pt")
    with pytest.raises(
        BequeathError, match=r"w\.pt: a TorchScript program, .* convert it: torch\.save\(torch\.jit"
    ):
        read_state(tmp_path / "w.pt")
    # What the message says is right.
    torch.save(torch.jit.load(tmp_path / "w.pt").state_dict(), tmp_path / "weights.pt")
    assert same(tiny, load_weights(other(), tmp_path / "weights.pt"))
    with zipfile.ZipFile(tmp_path / "z.pt", "w") as archive:
        archive.writestr("a/b.txt", "text")
    with pytest.raises(
        BequeathError, match=r"z\.pt: a zip file that torch\.save did not write \(it holds a/b\.txt\)"
    ):
        read_state(tmp_path / "z.pt")


def test_pickled_shards_with_their_index(transformers: ModuleType, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=3,
    )
    model = transformers.BertForSequenceClassification(config).eval()
    config.save_pretrained(tmp_path)
    state = model.state_dict()
    files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    for i, file in enumerate(files):
        torch.save({name: state[name] for name in list(state)[i::2]}, tmp_path / file)
    index = {"metadata": {}, "weight_map": {name: files[i % 2] for i, name in enumerate(state)}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ours = load_model(f"transformers:{tmp_path}", tmp_path, 3, "text")
    tokens = torch.arange(6)[None]
    with torch.no_grad():
        assert torch.equal(ours(tokens).logits, theirs(tokens).logits)
    (tmp_path / files[1]).unlink()
    with pytest.raises(
        BequeathError, match=r"it names pytorch_model-00002-of-00002\.bin, which is not in this folder"
    ):
        read_state(tmp_path)


def test_adapters_alone_are_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    save_file({"base_model.model.fc.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(BequeathError, match=r"is a PEFT adapter, not a whole model; give also the base"):
        read_state(tmp_path)
    with pytest.raises(BequeathError, match=r"none of its 1 names fits .*; it holds a PEFT adapter: give"):
        load_weights(other(), tmp_path / "adapter_model.safetensors")
    save_file(other().state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(BequeathError, match=r"holds both a model \(model\.safetensors\) and an adapter"):
        read_state(tmp_path)
