"""What `bequeath layers` refuses: one line that names the place, and exit code 2."""

import shutil
from pathlib import Path

import pytest
import torch
from planted_blocks import GREY, write_pictures
from safetensors.torch import save_file
from tiny_text import make_project
from typer.testing import CliRunner

from bequeath.cli import app, main
from bequeath.errors import BequeathError
from bequeath.layers.pair import Asked
from bequeath.layers.run import layers
from bequeath.study.direct import Wanted


def measure(before, after, network="Chain", after_network=None, **more):
    given = {"data": "data", "architecture": f"planted_chain:{network}", **more}
    if after_network is not None:
        after = f"planted_chain:{after_network}={after}"
    layers(Asked(Wanted(before, after, **given), shares=False), Path("out"))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "Other",
            r"BEFORE and AFTER: Chain and Other have different layers \(only one has d.bias, d.weight\)",
        ),
        (
            "Wide",
            r"BEFORE and AFTER: b.weight has shape \(3, 3\) before and \(4, 3\) after; give two models of one",
        ),
    ],
)
def test_models_of_other_architectures(state, network, message):
    with pytest.raises(BequeathError, match=message):
        measure(state("before"), state("after", network), after_network=network)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("Single", "BEFORE: Single: below its head it has only a, but at least two blocks are needed"),
        (
            "HeadAlone",
            r"weights .*before.safetensors: holds only a head, no layer below it; give the whole model",
        ),
    ],
)
def test_models_with_too_few_blocks(state, network, message):
    with pytest.raises(BequeathError, match=message):
        measure(state("before", network), state("after", network), network)


def test_a_head_alone_is_no_model(state, project):
    save_file({"head.weight": torch.zeros(3, 3), "head.bias": torch.zeros(3)}, "head.safetensors")
    with pytest.raises(BequeathError, match=r"head.safetensors: holds only a head, no layer below it"):
        measure("head.safetensors", state("after"))


def test_models_for_other_data(project, state):
    make_project(project)
    with pytest.raises(BequeathError, match=r"the data are texts|fails on|no tokenizer|tokenizer"):
        measure(state("before"), state("after"), data="dev.tsv")
    with pytest.raises(BequeathError, match="encoder"):
        measure("encoder", "encoder", architecture=None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("none", "--data: no such file or folder: none"),
        ("odd.csv", "--label: .*odd.csv: no column with a usual name of labels; give one of a, b"),
        ("one", r"--data one: only one class \(red\)"),
        ("data/val/red", "data/val/red: no class folders"),
        ("bad", r"image .*/bad/.*0.png: cannot be read"),
    ],
)
def test_data_that_cannot_be_used(project, state, data, message):
    (project / "odd.csv").write_text("a,b\n1,2\n3,4\n")
    write_pictures(project / "one", 8, 0, ("red",))
    write_pictures(project / "bad", 8, 0)
    for file in (project / "bad").glob("*/0.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(BequeathError, match=message):
        measure(state("before", b=GREY), state("after"), data=data)


def test_weights_that_are_not_finite(state):
    with pytest.raises(BequeathError, match=r"models.before: output .* is not finite"):
        measure(state("before", b=float("nan") * GREY), state("after"))


def test_places_that_are_somebody_elses(state, project):
    (project / "out").mkdir()
    (project / "out/notes.txt").write_text("mine")
    with pytest.raises(BequeathError, match=r"out: not a layers folder: it holds notes\.txt"):
        measure(state("before"), state("after"))


def test_the_command(state, project, monkeypatch):
    given = [
        "layers",
        state("before", b=GREY),
        state("after"),
        "--arch",
        "planted_chain:Chain",
        "--masks",
        "0",
    ]
    got = CliRunner().invoke(app, [*given, "--data", "data"], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert got.exit_code == 0, got.output
    assert "freeze: a" in got.output
    assert "runs/layers/layers.html" in got.output
    shutil.rmtree("data/train")
    monkeypatch.setattr("sys.argv", ["bequeath", *given, "--data", "data/val/none"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
