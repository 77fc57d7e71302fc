"""Bad study files: one line that names the place, before any work."""

import subprocess
import sys

import pytest

import bequeath as bq
from bequeath.study.config import StudyConfig, load_study
from bequeath.study.config.text import parse


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model", {}, r"study\.yaml:\d+: model: unknown key"),
        ("players.row", 3, r"study\.yaml:\d+: players\.grid\.row: unknown key"),
        ("players.rows", "many", r"study\.yaml:\d+: players\.grid\.rows: .*integer"),
        ("players.rows", 40, r"players: 80 players need 2\*\*80 = [\d,]+ model evaluations and [\d,]+ bytes"),
        ("players", {"kind": "words"}, "words does not fit data of kind image_folder"),
        (
            "baseline",
            "mask_token",
            r"baseline: mask_token does not fit players of kind grid; use mean, zero, blur",
        ),
        ("baseline", "black", r"study\.yaml:\d+: baseline: Input should be 'mean', 'zero', 'blur'"),
        ("samples", 1, "samples: .*greater than or equal to 2"),
        ("data.train", None, r"data\.train: missing; a model with probe"),
        ("data.path", "nowhere", r"study\.yaml:\d+: data\.path: no such file or folder: .*nowhere"),
        ("models.finetuned", None, r"roles: say which model is before and which is after"),
        ("models.finetuned.checkpoints", "models/x-*.pt", r"models\.finetuned\.checkpoints: nothing matches"),
        ("models.pretrained.weights", "gone.pt", r"models\.pretrained\.weights: no such file: .*gone\.pt"),
        ("models.finetuned.weights", "a.pt", "weights or checkpoints, not both"),
    ],
)
def test_the_place_is_named(edit, path, value, message):
    file = edit(path, value)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)


def test_a_good_file_is_read_and_its_paths_are_relative_to_it(study_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = load_study("project/study.yaml")
    assert config.data.path == (study_dir / "val").resolve()
    assert config.players.n_players == 4


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(bq.BequeathError, match=r"no such file: .*none\.yaml"):
        load_study(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("models: [\n  a: b: c")
    with pytest.raises(bq.BequeathError, match=r"broken\.yaml:2: not valid YAML"):
        load_study(broken)
    broken.write_text("- a list")
    with pytest.raises(bq.BequeathError, match="holds no keys at its top level"):
        load_study(broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: {a: 1}\nseed: 1\nmodels: {b: 2}\n", r":3: models: given twice, in lines 1 and 3; keep one"),
        ("data:\n  path: a\n  kind: b\n  path: c\n", r":4: path: given twice, in lines 2 and 4"),
        ("a: &x [*x]", r":1: an alias that contains itself"),
        (
            "a: &a [1, 1]\n"
            + "".join(f"k{i}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
            r"entries, but a study file has at most 200,000",
        ),
        ("[" * 80 + "]" * 80, r":1: nested too deeply; use at most 50 levels"),
        ("[" * 5000, r"not valid YAML|nested too deep"),
        ("salient: .nan", r":1: salient: nan; give a finite number"),
        ("a:\n  - 1\n  - b: -.inf", r":3: a\.1\.b: -inf; give a finite number"),
        ("seed: 123456789012345678901234567890123", r":1: seed: a number of more than 30 digits; .* 2\*\*53"),
        ("seed: " + "9" * 5000, r"not valid YAML: .*digits"),
        ("when: 2001-99-99", r"not valid YAML: month must be in"),
        ("a: !!python/object/apply:os.system [ls]", r":1: not valid YAML: could not determine a constructor"),
        ("a: 1\n--- \nb: 2", r"not valid YAML"),
        ("", r"holds no keys at its top level"),
    ],
)
def test_texts_that_say_nothing_clear_are_one_line(tmp_path, text, message):
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_merged_keys_and_aliases_are_no_duplicates(tmp_path):
    file = tmp_path / "s.yaml"
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    assert parse(text, file) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": 2}] * 2}
    file.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(bq.BequeathError, match=r"s\.yaml: not UTF-8 at byte 0; save it as UTF-8"):
        load_study(file)
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    with pytest.raises(bq.BequeathError, match=r"s\.yaml:1: a: unknown key"):
        load_study(file)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "training",
            {"steps": 9, "finetuned": {"learning_rat": 0.1}},
            r"learning_rat: unknown key; is it learning_rate",
        ),
        ("rols", {"before": "pretrained"}, r"rols: unknown key; is it roles\?"),
        ("roles", {"bfore": "pretrained"}, r"roles\.bfore: unknown key"),
        ("seed", -1, r"seed: .*greater than or equal to 0"),
        ("seed", 2**32, r"seed: .*less than 4294967296"),
        (
            "training",
            {"steps": 9, "seeds": [0, -3], "finetuned": {"learning_rate": 0.1}},
            r"seeds\.1: .*greater than",
        ),
        ("data.size", 10**6, r"data\..*size: .*less than or equal to 8192"),
        ("players.rows", 10**9, r"rows: .*less than or equal to 1024"),
        ("data.std", [0.2, 0, 0.2], r"data\..*std\.1: .*greater than 0"),
        ("evaluation", {"batch_size": 10**12}, r"batch_size: .*1 to 1,048,576"),
        ("decomposition", {"kind": "and-or", "tol": "1e999"}, r"tol: .*finite number|tol: .*less than 1"),
        (
            "engine",
            {"kind": "local", "threads": 100_000},
            r"study\.yaml:\d+: engine\.threads: 100000; this machine has",
        ),
        (
            "engine",
            {"kind": "local", "workers": 5000},
            r"study\.yaml:\d+: engine\.workers: 5000; this machine has",
        ),
    ],
)
def test_numbers_out_of_range_and_keys_that_are_misspelt(edit, path, value, message):
    file = edit(path, value)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)


def test_a_misspelt_key_comes_before_what_follows_from_it(edit):
    edit("models.finetuned", None)
    file = edit("data.pth", "val")
    with pytest.raises(bq.BequeathError, match=r"data\.image_folder\.pth: unknown key"):
        load_study(file)


def test_a_run_of_many_workers_is_read_on_a_small_machine(study_dir):
    config = load_study(study_dir / "study.yaml")
    plain = config.model_dump(mode="json") | {"engine": {"kind": "local", "workers": 500}}
    many = StudyConfig.model_validate(plain)
    assert many.engine.workers == 500
    with pytest.raises(bq.BequeathError, match=r"engine\.workers: 500"):
        many.engine.check_machine()
    with pytest.raises(bq.BequeathError, match=r"engine\.workers: 500"):
        bq.Study(config).on(None, 500)


def test_a_file_that_is_no_study_is_told_of_before_torch_is_loaded(tmp_path):
    (tmp_path / "s.yaml").write_text("seed: 1\nseed: 2\n")
    code = (
        "import sys, bequeath.cli as c\n"
        "sys.argv = ['bequeath', 'run', 's.yaml', '--out', 'x']\n"
        "try: c.main()\n"
        "except SystemExit as error: sys.exit(error.code if 'torch' not in sys.modules else 9)"
    )
    got = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert got.returncode == 2
    assert got.stderr == "bequeath: s.yaml:2: seed: given twice, in lines 1 and 2; keep one of them\n"


def test_the_commented_template_is_valid_but_for_its_files(study_dir, tmp_path):
    from importlib.resources import files

    target = tmp_path / "study.yaml"
    target.write_text(files("bequeath.study").joinpath("study.yaml").read_text())
    with pytest.raises(bq.BequeathError, match=r"no such file: .*resnet18-imagenet"):
        load_study(target)
