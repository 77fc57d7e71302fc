"""`bequeath rank` on tiny models: what it finds, what it keeps, and what it refuses."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_candidates import write_pictures
from tiny_text import make_project
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from bequeath.errors import BequeathError
from bequeath.rank import measures
from bequeath.rank import run as ranking
from bequeath.rank.candidates import candidates
from bequeath.rank.features import Features
from bequeath.rank.samples import DataChoice, Samples


def rank(given, out="out", measures=(), **choice):
    options = {"data": "train", "size": 10, "folds": 3, **choice}
    return ranking.rank(
        candidates(given), Samples(DataChoice(**options)), Path(out), device="cpu", measures=measures
    )


def numbers(value):
    """All numbers in a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for one in value for found in numbers(one)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def test_the_candidate_whose_features_tell_the_classes_is_recommended(candidate):
    document = rank([candidate("Noise"), candidate("Colours")])
    advice = document["recommendation"]
    assert document["order"] == ["Colours-1.0", "Noise-1.0"]
    assert advice["choice"] == "Colours-1.0"
    assert advice["not_apart"] == []
    text = " ".join(advice["text"])
    assert "clearly ahead of the next, Noise-1.0" in text
    assert "Fine-tune Colours-1.0 first: by the linear probe the other is clearly behind it." in text
    assert "always naming the largest class is right in 33.3%" in text
    best, noise = (document["candidates"][name]["measures"] for name in document["order"])
    for name, higher in best.items():
        if name != "leep":  # of a source head at random
            assert higher["value"] > noise[name]["value"], name
            assert higher["value"] > higher["reference"] + 0.1, name
    assert best["probe"]["value"] > 0.9
    assert noise["probe"]["high"] < 0.6
    difference = document["candidates"]["Noise-1.0"]["behind_first"]
    assert difference["mean"] == pytest.approx(best["probe"]["value"] - noise["probe"]["value"])
    assert 0 < difference["low"] < difference["mean"] < difference["high"] < 1


@pytest.fixture
def own_measures(project, monkeypatch):
    """The measure that docs/rank.md shows, and some that fail."""
    page = (Path(__file__).parents[2] / "docs/rank.md").read_text()
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def fisher" in block
    ]
    code += "\n\ndef broken(features, labels):\n    raise KeyError('x')\n\n\ndef nothing(features, labels):\n"
    (project / "measures_for_rank.py").write_text(code + "    return float('nan')\n")
    monkeypatch.syspath_prepend(project)
    yield
    sys.modules.pop("measures_for_rank", None)


def test_a_measure_of_ones_own_stands_beside_the_others(candidate, own_measures):
    name = "measures_for_rank:fisher"
    document = rank([candidate("Noise"), candidate("Colours")], measures=[name])
    assert document["measures"][name]["title"] == "fisher"
    noise, best = (document["candidates"][one]["measures"][name] for one in ("Noise-1.0", "Colours-1.0"))
    assert best["value"] > noise["value"]
    assert best["low"] < best["value"] < best["high"]
    assert best["value"] > 5 * best["reference"]
    assert noise["value"] == pytest.approx(noise["reference"], rel=0.7)
    assert "fisher" in " ".join(document["recommendation"]["text"])
    assert "LogME" in " ".join(document["recommendation"]["text"])
    assert "fisher" in (Path("out") / "rank.html").read_text()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fisher"], "--measure fisher: give module:function"),
        (["measures_for_rank:fishy"], "fisher"),
        (["measures_for_rank:fisher"] * 2, "given twice"),
        (["measures_for_rank:broken"], "--measure measures_for_rank:broken: KeyError"),
        (["measures_for_rank:nothing"], "it must give a finite number"),
    ],
)
def test_what_is_no_measure_is_refused(candidate, own_measures, names, message):
    with pytest.raises(BequeathError, match=message):
        rank([candidate("Noise"), candidate("Colours")], measures=names)


def test_equal_candidates_are_not_apart(candidate):
    document = rank([candidate("Colours", 1.0), candidate("Colours", 3.0), candidate("Noise")])
    advice = document["recommendation"]
    assert advice["choice"] is None
    assert advice["not_apart"] == ["Colours-3.0"]
    text = " ".join(advice["text"])
    assert "Colours-1.0 is not clearly ahead of the next, Colours-3.0: 0.0 points" in text
    assert "do not show which of Colours-1.0, Colours-3.0 is the best" in text
    assert "first:" not in text
    pairs = {(row["first"], row["second"]): row["value"] for row in document["similarity"]}
    assert pairs["Colours-1.0", "Colours-3.0"] == pytest.approx(1)
    assert abs(pairs["Colours-1.0", "Noise-1.0"]) < 0.3


def test_nothing_is_recommended_where_no_features_tell_the_classes(candidate):
    document = rank([candidate("Noise", 1.0), candidate("Noise", 3.0)])
    assert document["recommendation"]["choice"] is None
    assert not document["recommendation"]["better_than_chance"]
    assert "No candidate is recommended" in " ".join(document["recommendation"]["text"])


def test_the_document_holds_finite_numbers_and_reasons(candidate, project):
    given = [candidate("Colours"), candidate("Noise", source_classes=1)]
    document = rank(given, samples=30)
    assert document == json.loads((project / "out/rank.json").read_text())
    assert document["schema"] == "bequeath.rank/1"
    assert all(math.isfinite(one) for one in numbers(document))
    assert document["data"]["classes"] == {"blue": 10, "green": 10, "red": 10}
    colours, noise = (document["candidates"][f"{name}-1.0"] for name in ("Colours", "Noise"))
    assert colours["given"] == given[0]
    assert (colours["parameters"], colours["features"], colours["source_classes"]) == (3, 3, 4)
    assert colours["preprocessing"]["size"] == 10
    assert "not known" in colours["notes"][0]
    assert noise["source_classes"] is None
    assert noise["measures"]["leep"]["value"] is None
    assert noise["measures"]["leep"]["reason"] == "its own head has one output"
    for measure in colours["measures"].values():
        assert measure["low"] <= measure["value"] <= measure["high"]
        assert measure["n"] == 30
        assert measure["seconds"] > 0
    assert set(colours["measures"]) == set(document["measures"])
    page = (project / "out/rank.html").read_text()
    assert "Colours-1.0" in page
    assert "its own head has one output" in page
    assert "<svg" in page
    assert (project / "out/rank.svg").read_text().startswith("<svg")


def test_features_are_the_models_own_and_logits_those_of_its_head(candidate, project):
    rank([candidate("Colours", 2.0), candidate("Noise")])
    with np.load(next((project / "out/features").glob("Colours*.npz")), allow_pickle=False) as kept:
        found, logits = kept["features"], kept["logits"]
    samples = Samples(DataChoice("train", size=10))
    dataset = samples.prepared(None)
    x = torch.stack([dataset[i].x for i in samples.indices])
    np.testing.assert_allclose(found, 2 * x.mean((2, 3)), rtol=1e-5)
    torch.manual_seed(2)
    np.testing.assert_allclose(logits, found @ torch.randn(4, 3).numpy().T, rtol=1e-4, atol=1e-6)


def test_similarity_takes_some_of_many_samples(monkeypatch):
    rng = np.random.default_rng(0)
    both = [Features(rng.standard_normal((60, 3)).astype(np.float32), None, 0.0) for _ in range(2)]
    found = {"a": both[0], "b": both[1], "a again": Features(3 * both[0].features, None, 0.0)}
    assert {row["n"] for row in measures.similarities(found, 0)} == {60}
    monkeypatch.setattr(measures, "MOST_PAIRED", 40)
    rows = {(row["first"], row["second"]): row for row in measures.similarities(found, 0)}
    assert {row["n"] for row in rows.values()} == {40}
    assert rows["a", "a again"]["value"] == pytest.approx(1)
    assert rows["a", "b"]["low"] < 0.1


def without_times(document):
    document = json.loads(json.dumps(document)) | {"created": None}
    for entry in document["candidates"].values():
        for measure in entry["measures"].values():
            measure["seconds"] = None
    for row in document["similarity"]:
        row["seconds"] = None
    return document


def test_a_second_start_computes_no_features_again(candidate, monkeypatch):
    given = [candidate("Colours"), candidate("Noise")]
    first = rank(given)
    computed = []
    compute = ranking.compute
    monkeypatch.setattr(
        ranking, "compute", lambda one, *args: computed.append(one.candidate.name) or compute(one, *args)
    )
    assert without_times(rank(given)) == without_times(first)
    assert computed == []
    # Other weights under the same name are another model; one more candidate is just added.
    given[1] = candidate("Noise", 2.0)
    rank([*given, candidate("Colours", 5.0)])
    assert computed == ["Noise-2.0", "Colours-5.0"]
    rank(given, samples=30)  # other samples
    assert computed[2:] == ["Colours-1.0", "Noise-2.0"]


def test_damaged_features_are_told(candidate, project):
    given = [candidate("Colours"), candidate("Noise")]
    rank(given)
    file = next((project / "out/features").glob("Noise*.npz"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BequeathError, match=r"Noise.*npz: damaged .*remove it"):
        rank(given)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (("Colours", "Broken"), r"candidate planted_nets:Broken=.*not finite"),
        (("Colours", "Patches"), r"candidate planted_nets:Patches=.*called with \(2, 10, 3\)"),
        (("Colours", "Convolution"), r"candidate planted_nets:Convolution=.*no nn.Linear"),
    ],
)
def test_models_that_give_no_features_are_refused(candidate, networks, message):
    with pytest.raises(BequeathError, match=message):
        rank([candidate(name) for name in networks])


def test_the_same_weights_under_two_names_are_refused(candidate, project):
    given = candidate("Colours")
    (project / "copy.safetensors").write_bytes((project / "Colours-1.0.safetensors").read_bytes())
    with pytest.raises(BequeathError, match=r"candidates .* and .*copy.safetensors: the same weights"):
        rank([given, "planted_nets:Colours=copy.safetensors"])


def test_unknown_names_are_refused_before_any_features_are_computed(candidate, project):
    with pytest.raises(BequeathError, match=r"candidate planted_nets:Colour=.*Colours"):
        rank([candidate("Colours"), candidate("Colour")])
    assert list((project / "out/features").iterdir()) == []


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"data": "none"}, "--data: no such file or folder: none"),
        (
            {"data": "planted_nets.py"},
            r"--data: planted_nets.py: unknown kind of data; give a folder of pictures, a file that ends in",
        ),
        ({"data": "numbers.csv"}, "--data numbers.csv: a table of numbers, .*--text"),
        ({"data": "numbers.csv", "text": "a"}, "--size 10: is for pictures"),
        (
            {"data": "numbers.csv", "label": "b"},
            "--label: .*numbers.csv: no column 'b'; give one of a, label",
        ),
        ({"data": "one"}, r"--data one: only one class \(red\)"),
        ({"data": "few"}, r"--data few: class 'b' has 3 of 6 samples, but 5 folds need 5"),
        ({"samples": 12}, r"class '.*' has 4 of 12 samples, but 5 folds need 5"),
        ({"samples": 1000}, "--samples 1000: there are only 36"),
        ({"data": "bad"}, r"image .*/bad/r/0.png: cannot be read"),
        ({"data": "train/red"}, "--data: image folder .*/train/red: no class folders"),
    ],
)
def test_data_that_cannot_be_used_are_refused(project, choice, message):
    (project / "numbers.csv").write_text("a,label\n1,x\n2,y\n")
    write_pictures(project / "one", 6, ("red",))
    write_pictures(project / "few", 3, ("b", "r"))
    write_pictures(project / "bad", 6, ("b", "r"))
    (project / "bad/r/0.png").write_bytes(b"no picture")
    with pytest.raises(BequeathError, match=message):
        Samples(DataChoice(**{"data": "train", "size": 10, **choice}))


def test_a_device_that_is_not_there_is_refused(candidate):
    given = candidates([candidate("Colours"), candidate("Noise")])
    with pytest.raises(BequeathError, match=r"^device: 'nothing' cannot be used"):
        ranking.rank(given, Samples(DataChoice("train", size=10)), Path("out"), device="nothing")


def test_places_that_are_somebody_elses_are_refused(candidate, project):
    given = [candidate("Colours"), candidate("Noise")]
    (project / "file").write_text("mine")
    (project / "full").mkdir()
    (project / "full/notes.txt").write_text("mine")
    with pytest.raises(BequeathError, match="file: is a file"):
        rank(given, out="file")
    with pytest.raises(BequeathError, match=r"full: not a ranking's folder: it holds notes.txt"):
        rank(given, out="full")
    with pytest.raises(BequeathError, match="cannot be written"):
        rank(given, out="file/below")
    assert (project / "file").read_text() == "mine"


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """An encoder, and a second one at another random start."""
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path)
    torch.manual_seed(5)
    config = BertConfig.from_pretrained("encoder")
    BertForSequenceClassification(config).save_pretrained("other")
    BertTokenizer.from_pretrained("encoder").save_pretrained("other")
    return {"data": "dev.tsv", "size": None}


def test_texts_are_ranked_by_each_models_own_tokenizer(texts):
    document = rank(["encoder", "transformers:other"], **texts)
    assert document["data"]["modality"] == "text"
    assert sorted(document["order"]) == ["encoder", "other"]
    for entry in document["candidates"].values():
        assert entry["preprocessing"] is None
        assert entry["features"] == 16
        assert entry["source_classes"] == 2
        assert entry["measures"]["leep"]["value"] is not None


def test_models_for_other_data_are_refused(texts, candidate):
    with pytest.raises(BequeathError, match=r"candidate bequeath:mobilenet_v2: .*the data are texts"):
        rank(["encoder", "bequeath:mobilenet_v2"], **texts)
    with pytest.raises(BequeathError, match=r"candidate planted_nets:Colours=.*: has no tokenizer"):
        rank(["encoder", candidate("Colours")], **texts)
    with pytest.raises(BequeathError, match=r"candidate encoder: "):
        rank(["encoder", candidate("Colours")])
    with pytest.raises(BequeathError, match=r"--label: .*no column 'klass'"):
        rank(["encoder", "other"], **texts, label="klass")


def bequeath(*args):
    return subprocess.run(
        [sys.executable, "-c", "from bequeath.cli import main; main()", *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        timeout=300,
    )


def test_the_command_prints_the_table_and_the_advice(candidate, project):
    (project / "train/red/4.png").rename(project / "train/red/4\x1b[31m.png")
    got = bequeath("rank", candidate("Noise"), candidate("Colours"), "--data", "train", "--size", 10)
    assert got.returncode == 0, got.stderr
    assert "Fine-tune Colours-1.0 first: " in got.stdout
    assert "naming the largest class: 33.3%" in got.stdout
    assert "\x1b" not in got.stdout
    document = json.loads((project / "runs/rank/rank.json").read_text())
    best = document["candidates"]["Colours-1.0"]["measures"]["probe"]
    assert f"{100 * best['value']:.1f}%" in got.stdout


def test_bad_input_is_one_line_and_exit_code_2(candidate):
    got = bequeath("rank", candidate("Colours"), candidate("Patches"), "--data", "train", "--size", 10)
    assert got.returncode == 2
    assert re.fullmatch(r"bequeath: candidate planted_nets:Patches=\S+: head .* called with .*\n", got.stderr)
    got = bequeath("rank", candidate("Colours"), "planted_nets:Nothing=none.pt", "--data", "train")
    assert got.returncode == 2
    assert got.stderr.startswith(
        "bequeath: candidate: planted_nets:Nothing=none.pt: no such file: 'none.pt'; "
    )
    assert got.stderr.count("\n") == 1
