"""What candidates are given as."""

import pytest
from safetensors.torch import save_file
from torch import zeros

from bequeath.errors import BequeathError
from bequeath.rank.candidates import candidates


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("birds.safetensors", "resnet18-fish.safetensors"):
        save_file({"w": zeros(1)}, name)
    for folder in ("encoder", "empty", "adapter"):
        (tmp_path / folder).mkdir()
    (tmp_path / "encoder/config.json").write_text("{}")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / "adapter" / name).write_text("{}")
    return tmp_path


def test_every_form_says_architecture_and_weights_and_gets_a_name(files):
    given = [
        "torchvision:resnet18",
        "torchvision:resnet18=hub:IMAGENET1K_V1",
        "torchvision:resnet18=birds.safetensors",
        "torchvision:resnet18=resnet18-fish.safetensors",
        "encoder",
        "transformers:owner/encoder",
        "owner/other.v2",
        "nets:build=birds.safetensors",
    ]
    found = candidates(given)
    assert [(one.architecture, one.weights) for one in found] == [
        ("torchvision:resnet18", "hub"),
        ("torchvision:resnet18", "hub:IMAGENET1K_V1"),
        ("torchvision:resnet18", str(files / "birds.safetensors")),
        ("torchvision:resnet18", str(files / "resnet18-fish.safetensors")),
        (f"transformers:{files / 'encoder'}", str(files / "encoder")),
        ("transformers:owner/encoder", "hub"),
        ("transformers:owner/other.v2", "hub"),
        ("nets:build", str(files / "birds.safetensors")),
    ]
    assert [one.name for one in found] == [
        "resnet18",
        "resnet18=IMAGENET1K_V1",
        "resnet18=birds",
        "resnet18-fish",
        "encoder",  # as it is given, as is the next: two have this name
        "transformers:owner/encoder",
        "other.v2",
        "build=birds",
    ]


def test_names_hold_nothing_that_a_terminal_obeys(files):
    (files / "red\x1b[31m.pt").touch()
    found = candidates(["torchvision:resnet18=red\x1b[31m.pt", "torchvision:resnet18"])
    assert found[0].name == "resnet18=red\\x1b[31m"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["torchvision:resnet18"], "1 given; a ranking needs two"),
        (["encoder", "encoder"], "'encoder': given twice"),
        (["./nowhere", "encoder"], "no such file or folder: ./nowhere; give"),
        (["empty", "encoder"], "empty: no config.json"),
        (["birds.safetensors", "encoder"], "give ARCHITECTURE=birds.safetensors"),
        (["torchvision:resnet18=none.pt", "encoder"], "resnet18=none.pt: no such file: 'none.pt'"),
        (["torchvision:resnet18=", "encoder"], "resnet18=: no such file: ''"),
        (["adapter", "encoder"], "'adapter': a PEFT adapter"),
        (["bequeath:mobilenet_v3", "encoder"], "bequeath:mobilenet_v3.*mobilenet_v2"),
        (["nets:build", "encoder"], "weights are not given; give nets:build=STATE_FILE"),
    ],
)
def test_what_is_no_candidate_is_refused(files, given, message):
    with pytest.raises(BequeathError, match=message):
        candidates(given)
