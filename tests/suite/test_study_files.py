"""The suite's own files: every one is a study in both of its forms, and is told of where it should be."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from bequeath.models import build
from bequeath.models.heads import find_head
from bequeath.study.config import StudyConfig

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/studies"
FILES = sorted(FOLDER.glob("*.yaml"))


def forms(file):
    raw = yaml.safe_load(file.read_text())
    small = raw.pop("small")
    return StudyConfig.model_validate(raw), StudyConfig.model_validate({**raw, **small})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_both_forms_are_studies_of_the_size_that_is_said(file):
    full, small = forms(file)
    text = full.data.kind in ("sst2", "ag_news")
    assert full.players.n_players == (10 if text else 36)
    assert full.decomposition.sparse
    assert full.samples >= 50
    assert len(full.training.seeds) >= 3
    assert full.models["pretrained"].weights.startswith("hub")
    # Titles of AG News have no 16 words.
    assert small.players.n_players == (12 if file.stem.endswith("ag-news") else 16)
    assert small.sampling.number == 512
    assert small.samples >= 40
    assert len(small.training.seeds) >= 2
    assert small.training.checkpoints >= 5
    assert (small.models["pretrained"].weights is None) == (small.training.pretraining is not None)


def test_the_readme_and_the_makefile_name_just_these_files():
    named = set(re.findall(r"\]\(([\w-]+\.yaml)\)", (FOLDER / "README.md").read_text()))
    assert named == {file.name for file in FILES}
    assert len(FILES) == 20
    rows = re.search(r"^ROWS := (.*?)\n\S", (ROOT / "Makefile").read_text(), re.DOTALL | re.MULTILINE)[1]
    names = rows.replace("\\", " ").split()
    assert len(names) >= 6
    assert {f"{name}.yaml" for name in names} <= named


@pytest.mark.parametrize("name", ["resnet20", "vgg8", "vit_tiny32"])
def test_stand_ins_are_classifiers_with_a_head(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    model = build(f"examples.studies.small_models:{name}", 7, "image").eval()
    x = torch.randn(2, 3, 32, 32)
    assert model(x).shape == (2, 7)
    assert model.get_submodule(find_head(model)).out_features == 7


def test_resnet20_reads_the_published_weights(monkeypatch):
    file = ROOT.parent / "shared/data/weights_cifar10/resnet20-12fca82f.th"
    if not file.exists():
        pytest.skip("needs ../shared/data")
    from bequeath.models import load_model

    monkeypatch.chdir(ROOT)
    load_model("examples.studies.small_models:resnet20", file, 10, "image")
