"""Runs and trainings that are stopped: one line, exit code 130, nobody left behind."""

import os
import signal
import time

import pytest
from study_runs import bequeath, start, wait_until
from test_train import same, states, to_train, trained  # noqa: F401 -- a fixture

STUCK = """
import multiprocessing, re
import torch
from torch import nn


class Stuck(nn.Sequential):
    def forward(self, x):
        if multiprocessing.parent_process() is not None:
            open("stuck-" + str(__import__("os").getpid()), "w").close()
            re.match("(a+)+$", "a" * 60 + "b")  # for years, and no thread of the process gets a turn
        return super().forward(x)


def build(num_classes):
    return Stuck(
        nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Linear(54, num_classes),
    )
"""


def test_two_signals_end_a_run_at_once(study_dir):
    place = study_dir / "out/tables.zarr/table/c"
    process = start(study_dir, "run", "study.yaml", "--out", "out", seconds=0.3)
    wait_until(lambda: place.exists() and any(place.rglob("0")))
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in error
    finished = bequeath(study_dir, "run", "study.yaml", "--out", "out")
    assert finished.returncode == 0, finished.stderr


def test_a_run_that_is_stopped_while_it_begins_says_so(study_dir):
    process = start(study_dir, "run", "study.yaml", "--out", "out")
    time.sleep(1.0)  # in its imports
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "bequeath: stopped; start it again to continue"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_goes_on_to_the_same_weights(to_train, edit, sign):  # noqa: F811
    edit("training.steps", 200)
    edit("training.seeds", [0])
    trained(to_train, out="whole")
    process = start(to_train, "train", "study.yaml", "--out", "stopped")
    place = to_train / "stopped/seed-0/scratch"
    wait_until(lambda: len(list(place.glob("step-*.safetensors"))) >= 3)
    process.send_signal(sign)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "bequeath: stopped; start it again to continue"
    assert "Traceback" not in error
    trained(to_train, out="stopped")
    for name in ("finetuned", "scratch"):
        whole, stopped = (states(to_train / f"{out}/seed-0/{name}") for out in ("whole", "stopped"))
        assert whole.keys() == stopped.keys()
        assert all(same(whole[step], stopped[step]) for step in whole)


def test_workers_that_are_stuck_end_with_the_process_that_leads_them(study_dir, edit):
    import psutil

    (study_dir / "stuck_net_for_study.py").write_text(STUCK)
    edit("engine", {"kind": "local", "workers": 2, "threads": 1})
    for name in ("pretrained", "finetuned", "scratch"):
        edit(f"models.{name}.architecture", "stuck_net_for_study:build")
    process = start(study_dir, "run", "study.yaml", "--out", "out")
    wait_until(lambda: len(list(study_dir.glob("stuck-*"))) == 2)
    workers = [psutil.Process(int(path.name.removeprefix("stuck-"))) for path in study_dir.glob("stuck-*")]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers), 5)
