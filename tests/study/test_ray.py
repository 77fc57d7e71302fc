"""Actors on a Ray cluster of two simulated nodes: the same findings, also when a node dies in the middle of a task."""

import json
import subprocess
import sys
import textwrap

import pytest
import yaml
from study_runs import findings_of

from bequeath.study.run import Study

pytest.importorskip("ray")


def with_ray(study_dir, code):
    """Run a script in a process of its own: what Ray starts ends with it."""
    script = study_dir / "script.py"
    script.write_text(textwrap.dedent(code))
    got = subprocess.run([sys.executable, script], cwd=study_dir, capture_output=True, text=True, timeout=300)
    assert got.returncode == 0, got.stderr[-3000:]
    return got.stdout


@pytest.fixture
def expected(study_dir, edit):
    edit("engine", {"kind": "local", "threads": 1})
    edit("retest", {"shift": 2, "samples": 2})
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / "calm")
    return findings_of(study_dir / "calm")


def test_ray_finds_what_one_process_finds(study_dir, edit, expected):
    edit("engine", {"kind": "ray", "workers": 2})
    out = with_ray(
        study_dir,
        """
        import bequeath as bq, ray
        bq.Study.from_yaml("study.yaml").run("out")
        print("left running" if ray.is_initialized() else "shut down")
        """,
    )
    assert out.strip() == "shut down"
    assert findings_of(study_dir / "out") == expected


CLUSTER = """
import os, threading, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
import ray
import bequeath as bq
from bequeath.study.engines.worker import Worker

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
ray.init(address=cluster.address, log_to_driver=False)
"""


def test_a_node_that_dies_in_the_middle_costs_nothing_but_time(study_dir, edit, expected):
    edit("engine", {"kind": "ray", "workers": 2})
    (study_dir / "slow_net_for_study.py").write_text(
        "import time, torch\n"
        "from tiny_net_for_study import build as plain\n"
        "class Slow(torch.nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        time.sleep(0.08)\n"
        "        return super().forward(x)\n"
        "def build(num_classes):\n"
        "    return Slow(*plain(num_classes))\n"
    )
    study = yaml.safe_load((study_dir / "study.yaml").read_text())
    for name in ("finetuned", "scratch"):
        study["models"][name]["architecture"] = "slow_net_for_study:build"
    (study_dir / "slow.yaml").write_text(yaml.safe_dump(study))
    out = with_ray(
        study_dir,
        CLUSTER
        + """
def kill():
    from bequeath.study.status import read_status
    from pathlib import Path
    while True:
        status = read_status(Path("out")) if Path("out/status.json").exists() else None
        tables = [s for s in (status or {"stages": []})["stages"] if s["stage"] == "value tables"]
        if tables and tables[0]["done"] >= 10:
            break
        time.sleep(0.05)
    # Each node has room for one of the two actors.
    cluster.remove_node(other, allow_graceful=False)
    print("killed at", tables[0]["done"])

thread = threading.Thread(target=kill)
thread.start()
bq.Study.from_yaml("slow.yaml").run("out")
thread.join()
""",
    )
    assert "killed at" in out
    findings = findings_of(study_dir / "out")
    log = (study_dir / "out/run.log").read_text()
    assert "failed, attempt 1 of 3" in log
    assert findings["missing"] is None
    for name in ("models", "study"):  # they tell of the architecture's name
        findings.pop(name), expected.pop(name)
    assert findings == expected


def test_an_address_where_nothing_is_and_too_many_workers_are_named(study_dir, edit):
    edit("engine", {"kind": "ray", "workers": 400})
    code = """
    import bequeath as bq
    try:
        bq.Study.from_yaml("study.yaml").run("out")
    except bq.BequeathError as error:
        print(error)
    """
    assert "engine.workers: 400; the cluster has room for" in with_ray(study_dir, code)
    edit("engine", {"kind": "ray", "address": "127.0.0.1:1"})
    assert "engine.address: 127.0.0.1:1: no Ray cluster there" in with_ray(study_dir, code)
    assert json.loads((study_dir / "out/status.json").read_text())["state"] == "failed"


def test_a_cluster_that_is_started_here_listens_to_this_machine_alone(study_dir):
    out = with_ray(
        study_dir,
        """
        import psutil, ray
        from bequeath.study.config.engine import RayConfig
        from bequeath.study.engines.ray import RayEngine
        with RayEngine(RayConfig(kind="ray", workers=1))._connected():
            assert ray.get(ray.remote(lambda: 3).remote()) == 3
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                for one in process.net_connections("inet"):
                    if one.status == psutil.CONN_LISTEN:
                        print(one.laddr.ip.removeprefix("::ffff:"))
        """,
    )
    assert set(out.split()) == {"127.0.0.1"}
