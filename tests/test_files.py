"""Files that are whole or not there."""

import multiprocessing
import os
import signal

import pytest

from bequeath.files import literal, matching, replacing, sweep, write_whole


def test_a_file_or_a_folder_is_replaced_at_once(tmp_path):
    file, folder = tmp_path / "a.txt", tmp_path / "b"
    write_whole(file, "one")
    write_whole(file, "two, é")
    assert file.read_text(encoding="utf-8") == "two, é"
    for text in ("one", "two"):
        with replacing(folder) as partial:
            partial.mkdir()
            (partial / "in").mkdir()
            (partial / "in" / f"{text}.txt").write_text(text)
            assert not folder.exists() or text == "two"
    assert [p.name for p in folder.rglob("*.txt")] == ["two.txt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_whole(tmp_path / "a", "old")
    with pytest.raises(TypeError), replacing(tmp_path / "a") as partial:
        partial.write_text("half") + partial.write_text(3)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def _die_half_way(path):
    with replacing(path) as partial:
        partial.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def _write_often(path, text):
    for _ in range(50):
        write_whole(path, text)


def test_several_processes_may_write_one_file_and_one_of_them_may_die(tmp_path):
    file = tmp_path / "a"
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=_write_often, args=(file, letter * 10_000)) for letter in "xyz"]
    jobs.append(context.Process(target=_die_half_way, args=(file,)))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0, -signal.SIGKILL]
    assert file.read_text() in {letter * 10_000 for letter in "xyz"}
    assert len(list(tmp_path.glob("a.*.partial"))) == 1
    (tmp_path / "below").mkdir()
    (tmp_path / "below/step-1.partial").mkdir()
    sweep(tmp_path, "step-*")
    assert len(list(tmp_path.rglob("*.partial"))) == 2
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "below"]


def test_what_is_there_under_just_its_name_is_no_pattern(tmp_path, monkeypatch):
    for folder in ("exp [v2]", "exp v", "a*"):
        (tmp_path / folder).mkdir()
        for name in ("1.pt", "2.pt", "x[1].pt"):
            (tmp_path / folder / name).touch()

    def names(pattern):
        return [str(path.relative_to(tmp_path)) for path in matching(tmp_path / pattern)]

    assert names("exp [v2]/?.pt") == ["exp [v2]/1.pt", "exp [v2]/2.pt"]
    assert names("exp [v]/1.pt") == ["exp v/1.pt"]
    assert names("*/x[1].pt") == ["a*/x[1].pt", "exp [v2]/x[1].pt", "exp v/x[1].pt"]
    assert names("**/[1].pt") == ["a*/1.pt", "exp [v2]/1.pt", "exp v/1.pt"]
    assert names("a*/1.pt") == ["a*/1.pt"]
    assert names("e*/../exp v/1.pt") == ["exp [v2]/../exp v/1.pt", "exp v/../exp v/1.pt"]
    assert names("none [x]/*") == []
    monkeypatch.chdir(tmp_path / "exp [v2]")
    assert [str(path) for path in matching("[12].pt")] == ["1.pt", "2.pt"]
    assert literal("x[1].pt") == "x[[]1].pt"
