"""Checkpoints of any loop: when, what, whole or not at all, and as a model of a study."""

import json
import threading
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import bequeath as bq
from bequeath.models import checkpoint_series, load_model, mlp
from bequeath.study.config import ModelConfig
from bequeath.training import Checkpoints, Live
from bequeath.training.checkpoints import log_spaced
from bequeath.training.snapshots import Snapshot, snapshot


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))


def trained(model, checkpoints, steps, at=0, **begin):
    """A loop of a user's own; gives the states by step."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    generator = torch.Generator().manual_seed(1)
    checkpoints.begin(model, steps, at=at, **begin)
    states = {at: {name: value.clone() for name, value in model.state_dict().items()}}
    for step in range(at + 1, steps + 1):
        loss = model(torch.randn(8, 4, generator=generator)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        states[step] = {name: value.clone() for name, value in model.state_dict().items()}
        checkpoints.after(model, step, {"loss": loss.item()})
    checkpoints.end()
    return states


def saved(folder):
    return [step for _, step, _ in checkpoint_series(folder, "here")]


def test_log_spaced_steps():
    assert log_spaced(1, 1000, 4) == [1, 10, 100, 1000]
    assert log_spaced(1, 3, 10) == [1, 2, 3]
    assert log_spaced(5, 5, 3) == [5]
    with pytest.raises(bq.BequeathError, match="1 <= first <= last"):
        log_spaced(10, 3, 2)


def test_each_file_is_the_model_at_its_step(tmp_path):
    states = trained(tiny(), Checkpoints(tmp_path, count=4, first=0, seed=7), 50)
    assert saved(tmp_path) == [0, 1, 4, 14, 50]
    for step in saved(tmp_path):
        path = tmp_path / f"step-{step:06d}.safetensors"
        state = load_file(path)
        assert all(torch.equal(value, states[step][name]) for name, value in state.items())
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        assert metadata["step"] == str(step)
        assert metadata["seed"] == "7"
        assert ("metrics" in metadata) == (step > 0)
        if step:
            assert json.loads(metadata["metrics"])["loss"] > 0


@pytest.mark.parametrize(
    ("settings", "steps", "epochs", "expected"),
    [
        ({"count": 3}, 100, None, [1, 10, 100]),
        ({"count": 100}, 5, None, [1, 2, 3, 4, 5]),
        ({"count": 3, "by": "epoch"}, 90, 9, [10, 30, 90]),
        ({"count": 3, "by": "epoch"}, 95, 9.5, [10, 30, 90, 95]),
        ({"count": 2, "by": "epoch", "first": 0}, 7, 0.5, [0, 7, 14]),
    ],
)
def test_when(tmp_path, settings, steps, epochs, expected):
    found = Checkpoints(tmp_path, **settings).steps(steps, epochs)
    assert [step for step in found if step <= steps] == [step for step in expected if step <= steps]


@pytest.mark.parametrize(
    ("settings", "begin", "message"),
    [
        ({"by": "minute"}, {}, 'by: "step" or "epoch"'),
        ({"count": 0}, {}, "count >= 1"),
        ({"by": "epoch"}, {}, "epochs: needed"),
        ({"first": 51}, {}, "first: 51; the run has only 50 steps"),
    ],
)
def test_bad_settings(tmp_path, settings, begin, message):
    with pytest.raises(bq.BequeathError, match=message):
        Checkpoints(tmp_path, **settings).begin(tiny(), 50, **begin)


def test_runs_are_not_mixed(tmp_path):
    trained(tiny(), Checkpoints(tmp_path, count=4), 50)
    (tmp_path / "step-000002.safetensors.partial").write_bytes(b"half")
    with pytest.raises(bq.BequeathError, match=r"checkpoints of another run \(step 1 to 50\)"):
        trained(tiny(), Checkpoints(tmp_path, count=4), 50)
    # A run that goes on from step 10: what was saved beyond is of another course.
    trained(tiny(), Checkpoints(tmp_path, count=4), 20, at=10)
    assert saved(tmp_path) == [1, 4, 20]
    trained(tiny(), Checkpoints(tmp_path, count=2, overwrite=True), 9)
    assert saved(tmp_path) == [1, 9]
    assert not list(tmp_path.glob("*.partial"))


def test_steps_that_are_jumped_over_are_made_up_for_and_early_ends_saved(tmp_path):
    model, keep = tiny(), Checkpoints(tmp_path, count=4)
    keep.begin(model, 1000)
    for step in range(3, 40, 3):
        keep.after(model, step)
    keep.end(model, 39)
    assert saved(tmp_path) == [3, 12, 39]


def test_writing_goes_on_beside_and_its_error_comes_up(tmp_path, monkeypatch):
    gate, model, keep = threading.Event(), tiny(), Checkpoints(tmp_path, count=3)
    write = Snapshot.write
    monkeypatch.setattr(Snapshot, "write", lambda *args: (gate.wait(10), write(*args)))
    keep.begin(model, 10)
    keep.after(model, 1)
    with torch.no_grad():
        model[0].weight.zero_()  # training goes on before the file is there
    assert not list(tmp_path.glob("step-*"))
    gate.set()
    keep.wait()
    assert load_file(tmp_path / "step-000001.safetensors")["0.weight"].abs().sum() > 0

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Snapshot, "write", full)
    keep.after(model, 3)
    with pytest.raises(OSError, match="No space left"):
        keep.end()


def test_a_run_that_goes_on_waits_for_what_the_broken_one_still_writes(tmp_path, monkeypatch):
    model, keep = tiny(), Checkpoints(tmp_path, count=12)
    keep.begin(model, 40)
    write = Snapshot.write
    monkeypatch.setattr(Snapshot, "write", lambda *args: (time.sleep(0.3), write(*args)))
    keep.after(model, 20)  # and here the loop breaks off
    trained(model, keep, 100, at=16)
    assert saved(tmp_path) == [19, 28, 43, 66, 100]  # 20 was of a course that is not gone on with


def test_wrappings_are_seen_through_and_tied_weights_saved_once():
    inner = tiny()
    assert snapshot(nn.DataParallel(inner)).state.keys() == inner.state_dict().keys()
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert snapshot(tied).state.keys() == {"0.weight", "0.bias", "1.bias"}
    spread = tiny()
    spread[0].weight.ds_id = 3
    with pytest.raises(bq.BequeathError, match=r"0\.weight is spread over processes"):
        snapshot(spread)


def test_batch_norm_is_taken_anew_in_a_copy(tmp_path):
    batches = [torch.randn(16, 4) + 3 for _ in range(3)]
    model = tiny()
    states = trained(model, Checkpoints(tmp_path, count=1, first=2, batch_norm=batches), 2)
    fresh = load_file(tmp_path / "step-000002.safetensors")
    expected = torch.stack([model[0](batch).mean(0) for batch in batches]).mean(0)
    torch.testing.assert_close(fresh["1.running_mean"], expected)
    assert torch.equal(fresh["0.weight"], states[2]["0.weight"])
    assert not torch.allclose(states[2]["1.running_mean"], expected)


def test_live_measures_change_nothing_and_are_logged(tmp_path):
    torch.manual_seed(5)
    rows = torch.randn(2, 4)
    logged = []
    ends = []
    for live in (None, Live(list(rows), [0, 1], bq.players.columns("abcd"), bq.baselines.zero())):
        keep = Checkpoints(
            tmp_path / f"{live is None}", count=3, live=live, log=lambda *told: logged.append(told)
        )
        ends.append(trained(tiny(), keep, 100)[100])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert [step for _, step in logged] == [1, 10, 100]
    first, _, last = (told for told, _ in logged)
    orders = [f"bequeath/strength_order_{order}" for order in (1, 2, 3, 4)]
    assert set(first) == {"bequeath/value", "bequeath/strength", *orders}
    assert last["bequeath/strength"] == pytest.approx(sum(last[name] for name in orders))
    assert 0 <= last["bequeath/similarity_to_last"] < 1
    with safe_open(tmp_path / "False/step-000100.safetensors", "pt") as file:
        metrics = json.loads(file.metadata()["metrics"])
    assert metrics["bequeath/strength"] == last["bequeath/strength"]
    # The same as measured afterwards, on the file.
    model = tiny()
    model.load_state_dict(load_file(tmp_path / "False/step-000100.safetensors"))
    tables = torch.stack(
        [
            bq.Game(model, x, bq.players.columns("abcd"), bq.baselines.zero(), bq.values.log_odds(y)).table()
            for x, y in zip(rows, (0, 1), strict=True)
        ]
    )
    strength = bq.decompose(tables).values.abs().sum() / 2
    assert last["bequeath/strength"] == pytest.approx(strength.item(), rel=1e-6)


def test_live_needs_samples():
    with pytest.raises(bq.BequeathError, match="live: 1 inputs and 2 labels"):
        Live([torch.zeros(4)], [0, 1], None, None)


def test_a_folder_says_what_it_is(tmp_path):
    trained(
        tiny(), Checkpoints(tmp_path / "run", architecture="bequeath:mlp", options={"num_features": 4}), 5
    )
    for entry in (str(tmp_path / "run"), {"checkpoints": str(tmp_path / "run")}):
        config = ModelConfig.model_validate(entry)
        assert config.architecture == "bequeath:mlp"
        assert config.options == {"num_features": 4}
    said = ModelConfig.model_validate({"checkpoints": str(tmp_path / "run"), "architecture": "my:own"})
    assert said.architecture == "my:own"
    with pytest.raises(ValueError, match=r"a string must be a folder that a callback"):
        ModelConfig.model_validate(str(tmp_path))
    (tmp_path / "run/series.json").write_text("{")
    with pytest.raises(ValueError, match=r"series\.json: damaged"):
        ModelConfig.model_validate(str(tmp_path / "run"))


@pytest.mark.parametrize(
    "architecture", ["os:system", "my_models:build", "builtins:eval", "nonsense", ":x", "timmy:x"]
)
def test_a_data_file_names_no_code(tmp_path, architecture):
    trained(tiny(), Checkpoints(tmp_path / "run", architecture="bequeath:mlp"), 5)
    file = tmp_path / "run/series.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architecture": architecture}))
    for entry in (str(tmp_path / "run"), {"checkpoints": str(tmp_path / "run")}):
        with pytest.raises(
            ValueError, match=r"series\.json: names the function .* a data file may not run code"
        ):
            ModelConfig.model_validate(entry)
    # The user's own word is another thing.
    said = {"checkpoints": str(tmp_path / "run"), "architecture": architecture}
    assert ModelConfig.model_validate(said).architecture == architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": 3}, "its architecture is 3; repair it"),
        ({"options": [1]}, r"its options is \[1\]; repair it"),
        ({"base": {"a": 1}}, "its base is {'a': 1}; repair it"),
        ({"format": {}}, "has the format {}, not bequeath"),
    ],
)
def test_a_folder_that_says_nonsense(tmp_path, change, message):
    trained(tiny(), Checkpoints(tmp_path / "run", architecture="bequeath:mlp"), 5)
    file = tmp_path / "run/series.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=rf"series\.json: {message}"):
        ModelConfig.model_validate(str(tmp_path / "run"))


def test_the_model_comes_back(tmp_path):
    torch.manual_seed(0)
    model = mlp(2, num_features=4)
    trained(model, Checkpoints(tmp_path, architecture="bequeath:mlp", options={"num_features": 4}), 5)
    (*_, (_, step, path)) = checkpoint_series(tmp_path, "here")
    back = load_model("bequeath:mlp", path, 2, "table", num_features=4)
    assert step == 5
    x = torch.randn(3, 4)
    assert torch.equal(back(x), model.eval()(x))
