"""Places that cannot be written, and names that are not UTF-8."""

import errno
import os

import pytest
from tiny_study import write_study  # noqa: F401 -- study_dir needs it

import bequeath as bq
from bequeath.data import ImageFolder
from bequeath.files import discard, refuse_links, remove, replacing, sweep, writable, write_whole
from bequeath.study.config import load_study
from bequeath.study.store.folder import claim

NAME = b"caf\xe9.png"


def test_pictures_with_names_that_are_not_utf8_have_names_to_be_shown(study_dir):
    picture = ImageFolder(study_dir / "val")[0].picture
    place = os.fsencode(study_dir / "val/blue")
    try:
        os.rename(place + b"/0.png", place + b"/" + NAME)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    found = ImageFolder(study_dir / "val")
    ids = [found[i].id for i in range(3)]
    assert ids == ["blue/1.png", "blue/2.png", "blue/3.png"]
    assert found[7].id == r"blue/caf\xe9.png"
    assert (found[7].picture == picture).all()
    os.rename(place, os.fsencode(study_dir / "val") + b"/\xff")
    with pytest.raises(bq.BequeathError, match=r"class '.udcff': the name is not UTF-8; rename the folder"):
        ImageFolder(study_dir / "val")


def test_folders_with_names_that_are_not_utf8_are_one_line(tmp_path):
    place = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(bq.BequeathError, match="the name is not UTF-8; choose another --out"):
        claim(type(tmp_path)(place))
    try:
        os.mkdir(place)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    (type(tmp_path)(place) / "s.yaml").write_text("a: 1")
    with pytest.raises(bq.BequeathError, match="the name is not UTF-8; rename the file or its folder"):
        load_study(type(tmp_path)(place) / "s.yaml")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG])
def test_what_cannot_be_written_is_one_line(tmp_path, monkeypatch, code):
    def refused(self, *_args, **_options):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(type(tmp_path), "mkdir", refused)
    with pytest.raises(
        bq.BequeathError, match=r"new: cannot be written \(.*\); choose another place"
    ) as caught:
        claim(tmp_path / "new")
    assert os.strerror(code) in str(caught.value)


def test_a_full_disk_stays_one(tmp_path):
    with pytest.raises(OSError, match="No space"), writable(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_cannot_be_written_is_named_by_its_own_name(tmp_path):
    with pytest.raises(OSError) as caught:  # noqa: PT011 -- of any kind
        write_whole(tmp_path / "none/report.html", "x")
    assert caught.value.filename == str(tmp_path / "none/report.html")


def test_links_are_replaced_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/kept").write_text("kept")
    for target in ("mine", "mine/kept", "gone"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / target)
        with pytest.raises(bq.BequeathError, match="link: a link; nothing is written through links"):
            refuse_links(tmp_path)
        write_whole(link, "new")
        assert not link.is_symlink()
        assert link.read_text() == "new"
        link.unlink()
    (tmp_path / "a.partial").symlink_to(tmp_path / "mine")
    sweep(tmp_path)
    remove(tmp_path / "a.partial")
    assert (tmp_path / "mine/kept").read_text() == "kept"
    with replacing(tmp_path / "mine") as partial:
        partial.mkdir()
    assert list((tmp_path / "mine").iterdir()) == []
    discard(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []
