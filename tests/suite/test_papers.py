"""The same models read as the interaction papers read them."""

import pytest
import yaml
from tiny_study import write_study

from bequeath.study.config import load_study
from bequeath.suite.papers import as_the_papers, paper_form


def study(folder, **more):
    write_study(folder)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | more, sort_keys=False))
    return load_study(file)


def test_few_players_all_masks_and_the_last_checkpoints(tmp_path):
    config = study(
        tmp_path,
        players={"kind": "grid", "rows": 4, "cols": 4},
        decomposition="sparse",
        masks=300,
        roles={"twins": {}},
    )
    found = paper_form(config)
    assert found.players.n_players == 9
    assert (found.decomposition.kind, found.masks, found.salience) == ("paper", None, 0.05)
    assert found.samples == config.samples
    assert set(found.models) == {"pretrained", "finetuned", "scratch"}
    for name in ("finetuned", "scratch"):
        given = config.models[name].checkpoints
        assert len(given) > 1 or "*" in given[0]
        assert len(found.models[name].checkpoints) == 1
        assert found.models[name].checkpoints[0].endswith("100.safetensors")


def test_few_players_have_the_reading_beside_their_own(tmp_path):
    assert paper_form(study(tmp_path)) is None


@pytest.mark.parametrize(
    ("observed", "verdict"), [(0.2, "supported"), (0.6, "contradicted"), (None, "not measurable")]
)
def test_the_papers_rule_has_no_floor(observed, verdict):
    shares = {"preserved": {"observed": observed, "floor": 0.19}}
    pooled = {"study": {"players": "9 runs of words"}, "knowledge": {"by_reading": {"paper": shares}}}
    found = as_the_papers(None, pooled)
    assert found["verdicts"] == {"F1": verdict}
    assert found["players"] == "9 runs of words"
    assert as_the_papers(None, {"study": {}, "knowledge": {"by_reading": {}}}) is None
