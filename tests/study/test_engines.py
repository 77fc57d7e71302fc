"""Processes on this machine: the same findings, the dead replaced, what fails three times recorded."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from study_runs import bequeath, findings_of, run, start, wait_until

import bequeath as bq
from bequeath.report import render
from bequeath.study.engines import executor, local
from bequeath.study.run import Study
from bequeath.study.status import read_status

pytestmark = pytest.mark.usefixtures("without_report")

# A model of the user's own that can be told, by files, to die or to fail on some masks.
TROUBLE = """
import os
from pathlib import Path
import torch
from tiny_net_for_study import build as plain

HERE = Path(__file__).parent


class Trouble(torch.nn.Sequential):
    def forward(self, x):
        if len(x) > 1 and float(self[5].bias.detach()[0]) == 3.0:
            if (HERE / "die").exists():
                (HERE / "deaths").open("a").write("x")
                if (HERE / "deaths").stat().st_size <= int((HERE / "die").read_text()):
                    os._exit(9)
            if (HERE / "fail").exists():
                (HERE / "failures").open("a").write("x")
                if (HERE / "failures").stat().st_size <= int((HERE / "fail").read_text()):
                    raise RuntimeError("a bad day")
        return super().forward(x)


def build(num_classes):
    return Trouble(*plain(num_classes))
"""


@pytest.fixture
def trouble(study_dir, edit):
    """The study with a scratch model whose second checkpoint makes trouble; trouble("die", 2): the first 2 times."""
    (study_dir / "trouble_for_study.py").write_text(TROUBLE)
    sys.modules.pop("trouble_for_study", None)
    path = study_dir / "models/scratch-10.safetensors"
    state = load_file(path)
    state["5.bias"][0] = 3.0
    save_file(state, path)
    edit("models.scratch.architecture", "trouble_for_study:build")

    def make(kind, times):
        (study_dir / kind).write_text(str(times))

    yield make
    sys.modules.pop("trouble_for_study", None)


def two_processes(study_dir, edit):
    edit("engine", {"kind": "local", "workers": 2, "threads": 1})


def test_processes_find_what_one_process_finds(study_dir, edit):
    edit("engine", {"kind": "local", "threads": 1})
    expected = run(study_dir, "one")
    two_processes(study_dir, edit)
    assert run(study_dir, "two") == expected


@pytest.fixture
def own_engine(study_dir, edit, monkeypatch):
    """The study on the engine that docs/scaling.md shows."""
    page = (Path(__file__).parents[2] / "docs/scaling.md").read_text()
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Pools" in block
    ]
    (study_dir / "engines_for_study.py").write_text(code)
    monkeypatch.syspath_prepend(study_dir)
    edit("engine", {"kind": "engines_for_study:Pools", "options": {"workers": 2}})
    yield
    sys.modules.pop("engines_for_study", None)


def test_an_engine_of_ones_own_finds_the_same_and_replaces_the_dead(study_dir, edit, trouble, own_engine):
    trouble("die", 1)
    own = run(study_dir, "own")
    assert (study_dir / "deaths").stat().st_size > 1
    edit("engine", {"kind": "local", "threads": 1})
    assert own == run(study_dir, "local")


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("json:dumps", r"engine\.kind: json:dumps failed \(TypeError: .*options \{\}"),
        (
            "collections:OrderedDict",
            r"engine\.kind: collections:OrderedDict returns a OrderedDict; it must return",
        ),
        ("no_such_module:Pools", "no_such_module"),
        ({"kind": "cloud"}, r"engine.*'local', 'ray'"),
    ],
)
def test_what_is_no_engine_is_refused(study_dir, edit, engine, message):
    edit("engine", engine)
    with pytest.raises(bq.BequeathError, match=message):
        run(study_dir)


def test_each_model_is_loaded_once_by_each_worker_at_most(study_dir, edit, monkeypatch):
    from bequeath.study.loading.models import ModelLoader

    loaded = []
    load = ModelLoader.load
    monkeypatch.setattr(ModelLoader, "load", lambda self, c, f: (loaded.append(c.label), load(self, c, f))[1])
    run(study_dir)
    # Once for the check of the three models, once for the work; before and after once more to hide players in them.
    assert len(loaded) == 3 + 7 + 2


def test_a_worker_that_dies_is_replaced_and_its_work_done_again(study_dir, edit, trouble):
    edit("engine", {"kind": "local", "threads": 1})
    expected = run(study_dir, "calm")
    two_processes(study_dir, edit)
    trouble("die", 2)
    assert run(study_dir) == expected
    assert (study_dir / "deaths").stat().st_size > 2
    assert "the worker died" not in (study_dir / "out/run.log").read_text()
    assert (study_dir / "out/run.log").read_text().count("attempt") == 2


def test_what_kills_its_worker_three_times_is_recorded_and_the_rest_goes_on(study_dir, edit, trouble):
    edit("samples", 2)  # each costs three workers
    two_processes(study_dir, edit)
    trouble("die", 10**6)
    got = bequeath(study_dir, "run", "study.yaml", "--out", "out")
    assert got.returncode == 3, got.stderr
    failures = json.loads((study_dir / "out/failures.json").read_text())
    assert {f["checkpoint"] for f in failures} == {"scratch/step 10"}
    assert all(f["attempts"] == 3 and "the worker died" in f["error"] for f in failures)
    findings = findings_of(study_dir / "out")
    assert findings["missing"]["checkpoints"] == ["scratch/step 10"]
    assert findings["missing"]["interactions"] == 2
    assert [row["step"] for row in findings["models"]["scratch"]["checkpoints"]] == [1, 100]
    assert "scratch/step 10" in findings["warnings"][0]
    assert "scratch/step 10" in render(json.loads((study_dir / "out/findings.json").read_text()))
    assert "Incomplete." in got.stdout
    stages = {stage["stage"]: stage for stage in read_status(study_dir / "out")["stages"]}
    counts = [
        [stages[name][key] for key in ("done", "failed", "total")]
        for name in ("value tables", "interactions")
    ]
    assert counts == [[12, 2, 14], [12, 0, 12]]
    # Once the trouble is over, a second start mends it.
    (study_dir / "die").unlink()
    assert bequeath(study_dir, "run", "study.yaml", "--out", "out").returncode == 0
    assert findings_of(study_dir / "out")["missing"] is None
    assert not (study_dir / "out/failures.json").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_fails_is_tried_three_times(study_dir, edit, trouble, workers):
    edit("engine", {"kind": "local", "threads": 1})
    expected = run(study_dir, "calm")
    edit("engine.workers", workers)
    trouble("fail", 2)
    assert run(study_dir) == expected
    trouble("fail", 10**6)
    found = run(study_dir, "failing")
    error = found["missing"]["failures"][0]["error"]
    assert error.startswith("model Trouble: its forward pass fails on float32 (")
    assert "RuntimeError: a bad day" in error
    assert found["missing"]["checkpoints"] == ["scratch/step 10"]


def test_nan_outputs_name_model_sample_and_mask_and_only_they_are_missing(study_dir):
    path = study_dir / "models/finetuned-10.safetensors"
    state = load_file(path)
    state["5.bias"] = torch.full((3,), torch.nan)
    save_file(state, path)
    found = run(study_dir)
    assert found["missing"]["checkpoints"] == ["finetuned/step 10"]
    error = found["missing"]["failures"][0]["error"]
    assert "finetuned/step 10, sample" in error
    assert "the model's value is nan on mask 0000" in error


def test_a_sample_that_fails_in_one_checkpoint_is_left_out(study_dir, monkeypatch):
    from bequeath.study.engines.worker import Worker

    whole = run(study_dir, "whole")
    do = Worker.do

    def fail_once(self, task):
        if task.stage == "table" and (task.checkpoint, task.samples) == (6, (2,)):
            raise ValueError("this one")
        return do(self, task)

    monkeypatch.setattr(Worker, "do", fail_once)
    found = run(study_dir)
    assert found["missing"]["samples"] == [whole["samples"][2]["id"]]
    assert [s["id"] for s in found["samples"]] == [s["id"] for i, s in enumerate(whole["samples"]) if i != 2]
    assert found["knowledge"]["shares"]["preserved"]["n"] == 5


def test_a_final_model_that_fails_leaves_no_findings_and_exit_code_3(study_dir):
    code = (
        "import bequeath.study.engines.worker as w\n"
        "do = w.Worker.do\n"
        "w.Worker.do = lambda self, t: 1 / 0 if t.checkpoint == 6 else do(self, t)\n"
        "import sys, bequeath.cli as c\n"
        "sys.argv = ['bequeath', 'run', 'study.yaml', '--out', 'out']; c.main()"
    )
    got = subprocess.run([sys.executable, "-c", code], cwd=study_dir, capture_output=True, text=True)
    assert got.returncode == 3
    assert "scratch failed on too many samples to be compared" in got.stderr
    assert "ZeroDivisionError: division by zero" in got.stderr
    assert not (study_dir / "out/findings.json").exists()


def test_workers_end_with_the_process_that_leads_them(study_dir, edit):
    import psutil

    two_processes(study_dir, edit)
    process = start(study_dir, "run", "study.yaml", "--out", "out", seconds=0.2)
    place = study_dir / "out/tables.zarr/table_done/c"
    wait_until(lambda: place.exists() and any(place.rglob("0")))
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children), 20)


def test_a_worker_that_cannot_start_ends_the_run_at_once(study_dir, edit, monkeypatch):
    two_processes(study_dir, edit)
    monkeypatch.setattr(executor, "_begin", _cannot)
    began = time.monotonic()
    with pytest.raises(bq.BequeathError, match="engine: a worker cannot start: no such luck"):
        run(study_dir)
    assert time.monotonic() - began < 60


def _cannot(spec):
    raise RuntimeError("no such luck")


def test_gpus_are_shared_out_over_processes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert local.gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    assert local.gpus() == ["4", "6", "7"]

    class Found:
        class inputs:
            how = bq.Evaluation()

    object.__setattr__(Found.inputs.how, "device", "cuda")
    engine = local.LocalEngine(local.LocalConfig(), Found())
    assert engine.workers == 3
    made = []
    monkeypatch.setattr(local, "_Process", lambda spec, gpu: made.append(gpu) or _Silent())
    engine = local.LocalEngine(local.LocalConfig(workers=5), Found())
    from bequeath.study.engines.worker import Spec
    from bequeath.study.loading.plan import Plan

    with engine(Spec(None, Plan((None,) * 3, (0, 1), ()), None, {})):
        assert made == ["4", "6", "7", "4", "6"]
    made.clear()
    with engine(Spec(None, Plan((None,) * 2, (0,), ()), None, {})):
        assert made == ["4", "6"]  # more than there are tables would have nothing to do


class _Silent:
    def stop(self):
        pass


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("dask", r"study\.yaml:\d+: engine: .*'local', 'ray'"),
        ({"kind": "local", "workers": 0}, r"engine\.local\.workers: .*greater than or equal to 1"),
        ({"kind": "local", "address": "auto"}, r"engine\.local\.address: unknown key"),
    ],
)
def test_bad_engines_are_named(study_dir, edit, engine, message):
    with pytest.raises(bq.BequeathError, match=message):
        Study.from_yaml(edit("engine", engine))


def test_an_engine_is_chosen_by_name_in_the_file(study_dir, edit):
    study = Study.from_yaml(edit("engine", "ray"))
    assert study.config.engine.kind == "ray"
    assert study.on("local", 3).config.engine.workers == 3
    assert study.on(None, 3).config.engine.kind == "ray"
    with pytest.raises(bq.BequeathError, match=r"engine\.local\.address: not a setting of this engine"):
        study.on("local", address="auto")
    assert yaml.safe_load((study_dir / "study.yaml").read_text())["engine"] == "ray"
