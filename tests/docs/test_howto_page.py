"""The parts of one's own on the page of how-tos make a study that runs."""

from __future__ import annotations

import torch
import yaml
from pages import ROOT, blocks, document
from safetensors.torch import save_file
from tiny_study import write_study

from bequeath.study.run import Study

PAGE = ROOT / "docs/howto.md"


def test_parts_of_the_page_make_a_study(tmp_path, monkeypatch):
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code = [one.parsed for one in document(PAGE).examples() if "reader_names" not in one.parsed]
    (tmp_path / "mine.py").write_text("\n\n".join(part for part in code if "def cosine" not in part))
    import mine

    torch.manual_seed(0)
    for name in ("before", "after"):
        save_file(mine.build(3).state_dict(), tmp_path / f"{name}.safetensors")
    study = yaml.safe_load((tmp_path / "study.yaml").read_text())
    for part in blocks(PAGE, "yaml"):
        study |= {key: value for key, value in yaml.safe_load(part).items() if key != "engine"}
    for key in ("retest", "bounds", "training", "decomposition"):
        study.pop(key, None)
    study |= {"samples": 4, "accuracy_samples": 6}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(study))
    findings = Study.from_yaml(tmp_path / "own.yaml").run(tmp_path / "run").findings
    assert findings["study"]["n_players"] == 2
    assert findings["roles"]["before"] == "before"
    assert (findings["study"]["baseline"], findings["study"]["value"]) == ("mine:Grey", "mine:certainty")
