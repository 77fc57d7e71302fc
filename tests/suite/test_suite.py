"""A suite of two small studies, from their files to a page: what fails is told, what is finished stays."""

import json
import re
import signal
import sys

import numpy as np
import pytest
import yaml
from study_runs import bequeath, start, wait_until
from tiny_study import DEEPER, write_study

import bequeath as bq
from bequeath.study.run import Run
from bequeath.suite.causal import correlations
from bequeath.suite.pool import alarms, pool
from bequeath.suite.results import render, results, write_results
from bequeath.suite.rows import Row, run_rows

TRAINING = {
    "steps": 24,
    "batch_size": 8,
    "seeds": [0, 1],
    "checkpoints": 4,
    "finetuned": {"learning_rate": 0.01},
    "scratch": {"learning_rate": 0.02},
}


def write_two_studies(folder):
    """One from given weights; one that pre-trains here, and disturbs its starts; both in small forms, too."""
    (folder / "deeper_net.py").write_text(DEEPER)
    study = yaml.safe_load((folder / "study.yaml").read_text())
    for name in ("finetuned", "scratch"):
        study["models"].pop(name)
    small = {"name": "small colours", "samples": 4, "training": TRAINING}
    given = {**study, "bounds": True, "training": {**TRAINING, "steps": 10_000}, "small": small}
    (folder / "given.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    pretraining = {"data": study["data"], "steps": 20, "learning_rate": 0.01, "batch_size": 8}
    training = {**TRAINING, "pretraining": pretraining, "disturbed": ["early", "late", "frozen"]}
    made = {
        **study,
        "name": "made here",
        "models": {"pretrained": {"architecture": "deeper_net:build", "probe": True}},
        "small": {"training": training},
    }
    (folder / "made.yaml").write_text(yaml.safe_dump(made, sort_keys=False))


@pytest.fixture
def two_studies(study_dir):
    write_two_studies(study_dir)
    return study_dir


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Both studies, done."""
    folder = tmp_path_factory.mktemp("suite")
    write_study(folder)
    write_two_studies(folder)
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delitem(sys.modules, "tiny_net_for_study", raising=False)
        patch.setattr(Run, "report", lambda run: None)  # drawing it takes as long as all the rest
        files = [folder / f"{name}.yaml" for name in ("given", "made")]
        found = run_rows(files, folder / "suite", small=True, progress=False, say=said.append)
    assert any("made here" in line for line in said)
    return found


def test_from_study_files_to_a_page(rows, tmp_path):
    assert [(row.key, row.error, len(row.seeds)) for row in rows] == [("given", None, 2), ("made", None, 2)]
    assert {key: len(runs) for key, runs in rows[1].disturbed.items()} == {"early": 2, "late": 2, "frozen": 2}
    assert rows[0].seeds[0].findings["study"]["n_samples"] == 4  # of the small form
    document = results(rows)
    page = tmp_path / "docs/results.md"
    written = write_results(document, tmp_path, page, "the command")
    assert {path.name for path in written} == {
        "results.json",
        "results.md",
        "results-shares.svg",
        "results-courses.svg",
        "results-phases.svg",
        "results-causal.svg",
    }
    assert json.loads((tmp_path / "results.json").read_text()) == document
    text = page.read_text()
    assert "Made by `the command`" in text
    for link in re.findall(r"\]\((results-[^)]+)\)", text):
        assert "var(" not in (page.parent / link).read_text()  # what is no browser draws that in black
    # The tables say what the document says.
    shares = document["rows"][1]["pooled"]["knowledge"]["shares"]
    for name, head in (
        ("preserved", "## What the model after has"),
        ("relearned", "R, of what is preserved"),
    ):
        line = next(
            line for line in text[text.index(head) :].splitlines() if line.startswith("| made here |")
        )
        assert line.startswith(f"| made here | {100 * shares[name]['observed']:.1f}% | ")
    assert document["rows"][1]["pooled"]["knowledge"]["identifiability"] is None
    bounds = document["rows"][0]["pooled"]["knowledge"]["identifiability"]
    preserved = document["rows"][0]["pooled"]["knowledge"]["shares"]["preserved"]["observed"]
    assert bounds["least"]["mean"] <= preserved + 1e-3
    assert preserved <= bounds["greatest"]["mean"] + 1e-3
    widths = {line.count("|") for line in _table(text, "| row | start |")}
    assert len(widths) == 1
    assert len(_table(text, "| row | start |")) == 2 + 4
    for claim, counts in document["verdicts"].items():
        # F4 needs a model after that was followed.
        assert sum(counts.values()) == sum(claim in row["pooled"]["claims"] for row in document["rows"]), (
            claim
        )


def _table(text, head):
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(head))
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    return lines[first:last]


def test_pooled_figures_are_those_of_the_seeds_together(rows):
    seeds = rows[0].seeds
    pooled, known = pool(seeds), [run.evidence().known for run in seeds]
    parts = {
        name: sum(one.readings.strengths.total(name).sum() for one in known)
        for name in ("preserved", "before")
    }
    got = pooled["knowledge"]["shares"]["preserved"]
    assert got["observed"] == pytest.approx(parts["preserved"] / parts["before"])
    # Other seeds of the models that are trained are their twins.
    assert got["second"] == "twin"  # exact readings have no halves
    assert got["ceiling"] is not None
    assert got["seeds"] == 2
    for name in ("finetuned", "scratch"):
        each = [run.findings["models"][name]["accuracy"]["mean"] for run in seeds]
        got = pooled["models"][name]["accuracy"]
        assert got["mean"] == pytest.approx(np.mean(each))
        assert got["low"] <= min(each)
        assert got["high"] >= max(each)
    # Two seeds with one result: what is pooled is that result.
    same, alone = pool([seeds[0], seeds[0]]), seeds[0].findings
    for reading, shares in (alone["knowledge"]["by_reading"] | {"": alone["knowledge"]["shares"]}).items():
        pooled_ = same["knowledge"]["by_reading"][reading] if reading else same["knowledge"]["shares"]
        for name, share in shares.items():
            for key in ("observed", "floor"):
                assert pooled_[name][key] == pytest.approx(share[key])
    assert same["dynamics"]["lead"]["area"]["mean"] == pytest.approx(
        alone["dynamics"]["lead"]["area"]["mean"]
    )
    for role, rows_ in alone["ledger"].items():
        for ours, theirs in zip(same["ledger"][role], rows_, strict=True):
            assert ours["effect"]["mean"] == pytest.approx(theirs["effect"]["mean"], abs=1e-9)
            assert ours["positive_without"]["mean"] == theirs["positive_without"]["mean"]
    least = alone["knowledge"]["identifiability"]["least"]["mean"]
    assert same["knowledge"]["identifiability"]["least"]["mean"] == pytest.approx(least)


def test_effects_of_the_regions_add_up_to_each_models_output(rows):
    pooled = pool(rows[1].seeds)
    for role in ("before", "after", "control"):
        total = pooled["ledger"][role][0]["effect"]["mean"]
        inside = [row["effect"][role]["mean"] for row in pooled["regions"] if role in row["models"]]
        assert len(inside) == 4
        assert sum(inside) == pytest.approx(total)


def test_seeds_on_other_samples_are_not_pooled(rows):
    with pytest.raises(bq.BequeathError, match="seeds: their runs have different samples"):
        pool([rows[0].seeds[0], rows[1].seeds[0]])
    apart = Row("given", "apart", [rows[0].seeds[0], rows[1].seeds[0]])
    document = results([apart, rows[1]])
    assert document["rows"][0]["pooled"] is None
    assert "different samples" in document["rows"][0]["error"]
    assert "**apart is not complete:** seeds: " in render(document, {}, "x")


def test_warnings_say_in_how_many_seeds():
    seeds = [{"warnings": ["Only so many samples.", "One training run per model: so."]} for _ in range(2)]
    seeds[1]["warnings"].append("It died.")
    assert alarms(seeds) == ["It died. (In 1 of 2 seeds.)", "Only so many samples."]


def test_correlations_are_within_rows():
    def runs(offset):
        return [
            {
                "start": start,
                "preserved": offset + x,
                "raw": x**2,
                "accuracy": offset + 2 * x,
                "relearned": 1 - x,
            }
            for start, x in (("none", 0.3), ("early", 0.1), ("late", 0.2), ("middle", 0.0), ("frozen", 9.0))
        ]

    alone = correlations([runs(0.0)])
    assert alone[0]["correlation"]["mean"] == pytest.approx(1)
    assert alone[0]["correlation"]["n"] == 4  # the frozen one is not trained as the others
    assert alone[3]["correlation"]["mean"] == pytest.approx(-1)
    # One row's level says nothing: it would turn this one's sign if rows were not taken relative to themselves.
    both = correlations([runs(0.0), runs(50.0)])
    assert both[3]["correlation"]["mean"] == pytest.approx(-1)
    assert both[3]["correlation"]["n"] == 8


def test_a_row_that_fails_is_told_and_the_others_go_on(two_studies, without_report):
    broken = two_studies / "broken.yaml"
    broken.write_text(
        (two_studies / "given.yaml").read_text().replace("tiny_net_for_study:build", "nowhere:build")
    )
    files = [broken, two_studies / "given.yaml"]
    found = run_rows(files, two_studies / "suite", small=True, progress=False, say=lambda line: None)
    assert "no module 'nowhere'" in found[0].error
    assert found[1].error is None
    document = results(found)
    assert document["rows"][0]["pooled"] is None
    text = render(document, {}, "x")
    assert "**small colours is not complete:** " in text
    assert sum(document["verdicts"]["F1"].values()) == 1
    with pytest.raises(bq.BequeathError, match="no row has a finished seed"):
        write_results(results([Row("a", "b", error="c")]), two_studies / "suite", two_studies / "x.md", "y")


def test_what_cannot_be_a_row_is_refused_before_any_work(two_studies):
    def refused(names, message, small=True):
        files = [two_studies / name for name in names]
        with pytest.raises(bq.BequeathError, match=message):
            run_rows(files, two_studies / "suite", small=small, progress=False, say=lambda line: None)
        assert not (two_studies / "suite").exists()

    refused(["given.yaml", "study.yaml"], "no small form")
    refused(["study.yaml"], "training: missing", small=False)
    (two_studies / "more").mkdir()
    (two_studies / "more/given.yaml").write_text((two_studies / "given.yaml").read_text())
    refused(["given.yaml", "given.yaml"], "two files have the same name")


def test_a_killed_suite_goes_on_and_finished_runs_are_not_touched(two_studies, without_report):
    args = ("suite", "given.yaml", "--small", "--out", "suite", "--page", "docs/results.md")
    process = start(two_studies, *args)
    first = two_studies / "suite/given/seed-0/findings.json"
    wait_until(lambda: first.exists() and (two_studies / "suite/given/seed-1").exists(), 120)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = first.stat().st_mtime_ns
    got = bequeath(two_studies, *args)
    assert got.returncode == 0, got.stderr
    assert first.stat().st_mtime_ns == before
    page = (two_studies / "docs/results.md").read_text()
    assert "bequeath suite given.yaml --small --out suite --page docs/results.md" in page
    again = bequeath(two_studies, *args)
    assert again.returncode == 0
    assert (two_studies / "docs/results.md").read_text() == page
