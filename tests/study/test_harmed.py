"""A run's folder that was harmed: verify tells what is wrong, and what it advises mends it."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
import zarr
from study_runs import findings_of, run
from tiny_study import write_study

import bequeath as bq
from bequeath.files import remove
from bequeath.study.run import Run, Study
from bequeath.study.store.folder import claim, in_use
from bequeath.study.store.verify import verify

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A finished run of three samples."""
    project, before = tmp_path_factory.mktemp("once") / "project", Path.cwd()
    project.mkdir()
    write_study(project)
    study = yaml.safe_load((project / "study.yaml").read_text()) | {"samples": 3}
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    os.chdir(project)
    sys.modules.pop("tiny_net_for_study", None)
    report, Run.report = Run.report, lambda self: None
    try:
        run(project)
    finally:
        os.chdir(before)
        Run.report = report
    return project


@pytest.fixture
def finished(once, tmp_path, monkeypatch):
    """How to start it again, its folder, its findings."""
    monkeypatch.chdir(once)
    monkeypatch.delitem(sys.modules, "tiny_net_for_study", raising=False)
    out = tmp_path / "out"
    shutil.copytree(once / "out", out)
    (out / "report.html").touch()

    def again():
        Study.from_yaml(once / "study.yaml").run(out)
        return findings_of(out)

    return again, out, findings_of(out)


def cut(path):
    path.write_bytes(path.read_bytes()[:9])


def test_what_the_study_itself_tells_of_its_arrays_is_written_anew(finished):
    again, out, expected = finished
    store = out / "tables.zarr"
    chunks = {path: path.stat().st_mtime_ns for path in store.glob("table/c/**/0") if path.is_file()}
    before = {one: zarr.open_group(store)[one][:].tolist() for one in ("sample", "order", "step", "label")}
    for harm, name in (
        (cut, "table/zarr.json"),
        (remove, "interactions_done/zarr.json"),
        (cut, "sample/c/0"),
        (remove, "sample"),
        (remove, "step/c/0"),
        (cut, "label/zarr.json"),
    ):
        harm(store / name)
        with pytest.raises(bq.BequeathError, match=r"start the run again: the file is written anew"):
            verify(out)
        assert again() == expected
        assert verify(out).tables == 21
        assert {one: zarr.open_group(store)[one][:].tolist() for one in before} == before
    assert {path: path.stat().st_mtime_ns for path in chunks} == chunks


def test_another_coordinate_with_a_right_checksum_is_noticed(finished):
    _, out, _ = finished
    group = zarr.open_group(out / "tables.zarr")
    for name, other in (("sample", "elsewhere"), ("order", 3), ("checkpoint", "finetuned/step 2")):
        kept = group[name][1]
        group[name][1] = other
        with pytest.raises(bq.BequeathError, match=rf"tables\.zarr/{name}: does not match the run"):
            verify(out)
        group[name][1] = kept
    assert verify(out).interactions == 21


def test_what_is_marked_must_be_there_and_the_advice_mends_it(finished):
    again, out, expected = finished
    store = out / "tables.zarr"
    for name in ("table/c/3/2/0", "interactions/c/3/2/0/0", "correct/c/2/0", "certificate/c/1/0/0"):
        (store / name).unlink()
        with pytest.raises(bq.BequeathError, match=r"marked as done, but it is missing.*start the run again"):
            verify(out)
        assert again() == expected
        assert verify(out).tables == 21
    group = zarr.open_group(store)
    group["interactions"][2, 2, 0, 5] = group["interactions"][2, 2, 0, 5] + 0.5
    with pytest.raises(bq.BequeathError, match=r"remove (\S+) and (\S+) and start again") as caught:
        verify(out)
    for place in re.findall(r"remove (\S+) and (\S+) and start", str(caught.value))[0]:
        remove(Path(place))
    assert again() == expected
    assert verify(out).deviation < 1e-12


def test_nothing_is_written_through_links(study_dir, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "log").write_text("mine")
    (study_dir / "out").mkdir()
    (study_dir / "out/run.json").write_text('{"format": "bequeath.run/1"}')
    for name, target in (
        ("run.log", elsewhere / "log"),
        (".lock", elsewhere / "log"),
        ("tables.zarr", elsewhere),
    ):
        (study_dir / "out" / name).symlink_to(target)
        with pytest.raises(bq.BequeathError, match=rf"{name}: a link; nothing is written through links"):
            run(study_dir)
        (study_dir / "out" / name).unlink()
    assert (elsewhere / "log").read_text() == "mine"
    assert [path.name for path in elsewhere.iterdir()] == ["log"]


@pytest.mark.parametrize(
    "content", ["[1]", "null", "{}", '{"schema": "bequeath.status/1"}', "[" * 3000, '{"a": NaN']
)
def test_foreign_json_is_one_line(study_dir, content):
    out = study_dir / "out"
    out.mkdir()
    for name in ("run.json", "status.json", "findings.json"):
        (out / name).write_text(content)
    for read in (claim, lambda folder: bq.Run(folder).status, lambda folder: bq.Run(folder).findings):
        with pytest.raises(bq.BequeathError) as caught:
            read(out)
        assert str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_a_run_that_is_only_read_tells_how_far_it_is(finished, monkeypatch):
    again, out, _ = finished

    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr("bequeath.study.store.folder.FileLock.acquire", refused)
    assert bq.Run(out).status["state"] == "finished"
    assert not in_use(out)
    with pytest.raises(
        bq.BequeathError, match=r"x: cannot be written .Permission denied.; choose another place"
    ):
        again()


def test_the_log_has_the_stages_and_how_a_run_ended(finished):
    again, out, _ = finished
    log = (out / "run.log").read_text()
    assert "value tables: 0 of 21 were done before, 21 are done now, 0 failed" in log
    assert "finished after" in log
    for sample in range(3):
        (out / f"tables.zarr/table/c/0/{sample}/0").write_bytes(b"x")
        (out / f"tables.zarr/interactions/c/0/{sample}/0/0").unlink()
    with pytest.raises(bq.BequeathError, match="table/c/0/0/0: damaged"):
        again()
    assert "ended by IncompleteRun\nTraceback (most recent call last)" in (out / "run.log").read_text()
