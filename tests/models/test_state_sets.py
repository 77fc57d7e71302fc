"""Which set of weights of a file is taken: the one that the library which wrote it takes, or none without a word."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import TinyNet
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.models import load_model, load_weights, read_state
from bequeath.models.probe import load_backbone
from bequeath.models.state_files import chosen_set

State = dict[str, Tensor]


def state(seed: int) -> State:
    torch.manual_seed(seed)
    return TinyNet().state_dict()


RAW, EMA, OTHER = state(0), state(1), state(2)
WRAPPED = {f"module.{name}": value for name, value in EMA.items()} | {"n_averaged": torch.tensor(7)}
BOTH = {f"{first}.{name}": value for first, one in (("a", RAW), ("b", EMA)) for name, value in one.items()}
OPTIMIZER = {
    "state": {0: {"exp_avg": torch.ones(4, 3), "step": torch.tensor(3.0)}},
    "param_groups": [{"lr": 0.1, "params": [0]}],
}


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "w.pt")
    return folder / "w.pt"


def is_state(found: State, wanted: State) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("content", "taken", "why"),
    [
        ({"state_dict": RAW, "state_dict_ema": EMA}, EMA, "'state_dict_ema' is taken (the average"),
        ({"state_dict_ema": EMA, "state_dict": RAW, "epoch": 3}, EMA, "'state_dict_ema' is taken"),
        ({"model": RAW, "model_ema": WRAPPED}, WRAPPED, "'model_ema' is taken"),  # torchvision's training
        ({"model": RAW, "ema": EMA}, EMA, "'ema' is taken"),
        ({"params": RAW, "params_ema": EMA}, EMA, "'params_ema' is taken"),
        ({"net": RAW, "emaModel": EMA, "optimizer": OPTIMIZER}, EMA, "'emaModel' is taken"),
        ({"generator": RAW, "swa": EMA}, EMA, "'swa' is taken"),
        ({**RAW, "ema": EMA}, EMA, "not ''"),
        ({"model": {"raw": RAW, "ema": EMA}}, EMA, "'model.ema' is taken"),
        ({"model": RAW, "model_ema": [EMA]}, EMA, "'model_ema.0' is taken"),
        # These two put the average into state_dict themselves, or leave it to callbacks.
        (
            {"pytorch-lightning_version": "2.6", "state_dict": RAW, "current_model_state": OTHER},
            RAW,
            "as Lightning does",
        ),
        (
            {
                "pytorch-lightning_version": "2.6",
                "state_dict": RAW,
                "callbacks": {"StochasticWeightAveraging": {"average_model_state": EMA}},
            },
            RAW,
            "not 'callbacks.StochasticWeightAveraging.average_model_state'",
        ),
        ({"meta": {}, "message_hub": {}, "state_dict": RAW, "ema_state_dict": EMA}, RAW, "as MMEngine does"),
        ({"model": RAW, "discriminator": OTHER}, RAW, "'model' is taken (by its name)"),
        (
            {"model": RAW, "ema": {"decay": 0.9, "shadow_params": list(EMA.values())}},
            RAW,
            "a list without names",
        ),
    ],
)
def test_the_set_that_its_library_takes(tmp_path: Path, content: Any, taken: State, why: str) -> None:
    path = saved(tmp_path, content)
    with pytest.warns(UserWarning, match="choose another with weights_key") as told:
        assert is_state(read_state(path), taken)
    assert len(told) == 1
    assert why in str(told[0].message)
    chosen = chosen_set(path)
    assert chosen is not None
    assert chosen.description in str(told[0].message)


def test_an_average_of_parameters_alone_is_put_over_the_model(tmp_path: Path) -> None:
    parameters = {name: value for name, value in EMA.items() if not name.startswith("bn.running")}
    raw = {**RAW, "bn.running_var": torch.rand(4)}
    path = saved(tmp_path, {"model": raw, "ema": {"decay": 0.9, "shadow": parameters}})
    with pytest.warns(UserWarning, match=r"'ema\.shadow' is taken .* with the missing tensors of 'model'"):
        model = load_weights(TinyNet(), path)
    assert is_state(model.state_dict(), {**raw, **parameters})


def test_a_file_that_contains_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"net": RAW, "same": RAW}
    content["itself"] = [content, {"again": content}]
    deep: Any = RAW
    for _ in range(100):
        deep = [deep]
    assert is_state(read_state(saved(tmp_path, content)), RAW)
    with pytest.raises(BequeathError, match="holds no state dict but a list"):
        read_state(saved(tmp_path, deep))


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        ({"net": RAW, "acc": 91.2, "epoch": 5}, RAW),
        ({"weird name": RAW}, RAW),
        ({"a": {"b": {"c": RAW}}}, RAW),
        ({"net": RAW, "optimizer": OPTIMIZER, "rng": torch.get_rng_state()}, RAW),
        ({"net": RAW, "optimizer_states": [OPTIMIZER], "lr_schedulers": [{"base_lrs": [0.1]}]}, RAW),
        ({"net": RAW, "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}}}, RAW),
        ({"net": RAW, "history": {"loss": torch.rand(9)}}, RAW),
        ([1, {"x": RAW}], RAW),
    ],
)
def test_the_only_one_is_taken_without_a_word(tmp_path: Path, content: Any, taken: State) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_state(read_state(saved(tmp_path, content)), taken)
    assert chosen_set(tmp_path / "w.pt") is None


@pytest.mark.parametrize(
    ("content", "there"),
    [
        ({"student": RAW, "teacher": EMA}, r"student, teacher; .* weights_key: student"),
        ({"G": RAW, "D": OTHER}, "G, D"),
        ({"model": RAW, "ema_0.999": EMA, "ema_0.9999": OTHER}, r"model, ema_0\.999, ema_0\.9999"),
        ({"model": RAW, "model_ema": [EMA, OTHER]}, r"model, model_ema\.0, model_ema\.1"),
        ({"ema": EMA, "swa": OTHER}, "ema, swa"),
        # Not of the same model: an average of something else.
        ({"model": RAW, "ema": {"w": torch.ones(2, 2)}}, "model, ema"),
    ],
)
def test_where_no_rule_says_which_is_meant_the_user_must(tmp_path: Path, content: Any, there: str) -> None:
    path = saved(tmp_path, content)
    for read in (read_state, chosen_set):
        with pytest.raises(
            BequeathError, match=rf"w\.pt: holds several sets of weights: .*{there}"
        ) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "key", "taken"),
    [
        ({"state_dict": RAW, "state_dict_ema": EMA}, "state_dict", RAW),
        ({"student": RAW, "teacher": EMA}, "teacher", EMA),
        ({"model": RAW, "model_ema": [EMA, OTHER]}, "model_ema.1", OTHER),
        ({"model": RAW, "ema_0.999": EMA, "ema_0.9999": OTHER}, "ema_0.999", EMA),
        ({"model": {"raw": RAW, "ema": EMA}}, "model.raw", RAW),
        # Beginnings of names, with the set's key or without it.
        (
            {"state_dict": BOTH},
            "state_dict.b",
            EMA,
        ),
        (
            {"state_dict": BOTH},
            "a",
            RAW,
        ),
        # Parts that make up one model.
        (
            {
                "conv": {"weight": RAW["conv.weight"]},
                "bn": {
                    name.removeprefix("bn."): value for name, value in RAW.items() if name.startswith("bn.")
                },
                "fc": {"weight": RAW["fc.weight"], "bias": RAW["fc.bias"]},
            },
            "",
            {**RAW},
        ),
    ],
)
def test_a_key_chooses(tmp_path: Path, content: Any, key: str, taken: State) -> None:
    path = saved(tmp_path, content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_state(read_state(path, key), taken)
        model = load_weights(TinyNet(), path, weights_key=key)
        again = load_model("tiny_models:TinyNet", path, 3, "image", weights_key=key)
        body, _ = load_backbone("tiny_models:TinyNet", path, 3, "image", weights_key=key)
    assert is_state(model.state_dict(), taken)
    assert is_state(again.state_dict(), taken)
    assert torch.equal(body.state_dict()["conv.weight"], taken["conv.weight"])


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BequeathError, match=r"w\.pt: weights_key: no 'ema' in it; there are model, net$"):
        read_state(saved(tmp_path, {"model": RAW, "net": EMA}), "ema")
    save_file(RAW, tmp_path / "w.safetensors")
    with pytest.raises(BequeathError, match=r"weights_key: no 'ema' in it; there are bn, conv, fc$"):
        read_state(tmp_path / "w.safetensors", "ema")
    with pytest.raises(BequeathError, match="weights_key is for local files"):
        load_model("torchvision:resnet18", "hub", 3, "image", weights_key="ema")
