"""Whose folder it is: foreign, damaged and truncated files are named, and nothing is overwritten."""

import pytest
from study_runs import findings_of, run

import bequeath as bq
from bequeath.files import remove
from bequeath.study.run import Study

pytestmark = pytest.mark.usefixtures("without_report")


def test_a_folder_of_somebody_else_is_refused(study_dir):
    out = study_dir / "out"
    (out / "tables.zarr").mkdir(parents=True)
    (out / "tables.zarr/notes.txt").write_text("mine")
    with pytest.raises(bq.BequeathError, match=r"out: not a run's folder: it holds tables\.zarr; choose"):
        run(study_dir)
    assert [p.name for p in out.rglob("*")] == ["tables.zarr", "notes.txt"]


def test_the_study_files_own_folder_is_refused(study_dir):
    before = (study_dir / "study.yaml").read_text()
    with pytest.raises(bq.BequeathError, match="not a run's folder"):
        run(study_dir, ".")
    assert (study_dir / "study.yaml").read_text() == before


def test_a_file_in_the_folders_place_is_refused(study_dir):
    (study_dir / "out").write_text("x")
    with pytest.raises(bq.BequeathError, match="is a file"):
        run(study_dir)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run.json", r"run\.json: damaged"),
        ("timings.json", r"timings\.json: damaged .*remove it and start again"),
        ("meaning-*.json", r"meaning-\w+\.json: damaged .*remove it"),
        ("study.yaml", r"study\.yaml: damaged or changed by hand"),
        ("tables.zarr/zarr.json", r"tables\.zarr: not a run's arrays"),
        ("tables.zarr/table/c/6/5/0", r"tables\.zarr/table/c/6/5/0: damaged .*remove the file"),
        ("tables.zarr/interactions/c/0/0/0/0", r"interactions/c/0/0/0/0: damaged .*remove the file"),
        ("tables.zarr/interactions_done/c/2/0", r"interactions_done/c/2/0: damaged"),
        ("tables.zarr/certificate/c/2/0/0", r"certificate/c/2/0/0: damaged"),
        ("tables.zarr/correct/c/2/0", r"correct/c/2/0: damaged"),
    ],
)
def test_damaged_files_are_named_kept_and_made_anew_once_removed(study_dir, name, message):
    expected = run(study_dir)
    (path,) = (study_dir / "out").glob(name)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"\x93garbage" * 9):
        path.write_bytes(broken)
        with pytest.raises(bq.BequeathError, match=message) as caught:
            run(study_dir)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == broken
        assert (study_dir / "out/findings.json").exists()
    path = study_dir / "out/tables.zarr" if name.endswith("zarr.json") else path
    remove(path)
    assert run(study_dir) == expected


def test_a_damaged_probe_is_named_where_it_is_needed(study_dir):
    expected = run(study_dir)
    (probe,) = (study_dir / "out").glob("probe-*.npz")
    probe.write_bytes(probe.read_bytes()[:50])
    for sample in range(6):
        (study_dir / f"out/tables.zarr/table/c/0/{sample}/0").unlink()
    with pytest.raises(bq.BequeathError, match=r"probe-pretrained-\w+\.npz: damaged .*remove it"):
        run(study_dir)
    probe.unlink()
    assert run(study_dir) == expected


def test_a_damaged_report_and_damaged_findings_are_simply_made_again(study_dir):
    expected = run(study_dir)
    (study_dir / "out/findings.json").write_text("{")
    with pytest.raises(bq.BequeathError, match=r"findings\.json: damaged"):
        _ = bq.Run(study_dir / "out").findings
    assert run(study_dir) == expected


def test_a_study_edited_in_the_folder_can_be_run_there(study_dir):
    run(study_dir)
    copy = study_dir / "out/study.yaml"
    copy.write_text(copy.read_text().replace("normalise: l1", "normalise: none"))
    with pytest.raises(bq.BequeathError, match=r"study\.yaml: damaged or changed by hand"):
        run(study_dir)
    Study.from_yaml(copy).run(study_dir / "out")
    assert findings_of(study_dir / "out")["study"]["normalise"] == "none"
