"""The wheel and the sdist: their contents, the installed wheel at work, and that the sdist makes the same wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import bequeath

pytest.importorskip("hatchling", reason="needs hatchling (pip install hatchling)")

ROOT = Path(__file__).parents[2]
NAME = f"bequeath-{bequeath.__version__}"
INFO = f"{NAME}.dist-info"
LICENSES = {"LICENSE", "src/bequeath/data/LICENSE.fashion-mnist"}


def build(project: Path, target: str, folder: Path) -> Path:
    """Build a distribution; gives its file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


def unzipped(wheel: Path) -> dict[str, bytes]:
    """Name -> content."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(sdist: Path) -> dict[str, bytes]:
    """Name, below the folder that holds all -> content."""
    with tarfile.open(sdist) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name.removeprefix(f"{NAME}/"): file.read() for name, file in files.items() if file}


def sources() -> dict[str, bytes]:
    """The package's files in the checkout: code, templates, the page's script, data, the marker of types."""
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT / "src").as_posix(): path.read_bytes() for path in files}


def test_the_wheel_holds_the_package_its_licences_and_nothing_else(wheel: Path) -> None:
    content = unzipped(wheel)
    about = {name.removeprefix(f"{INFO}/") for name in content if name.startswith(INFO)}
    assert about == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        *(f"licenses/{one}" for one in LICENSES),
    }
    expected = sources()
    assert {Path(name).suffix for name in expected} >= {".py", ".typed", ".j2", ".js", ".yaml", ".npz"}
    assert {name: data for name, data in content.items() if not name.startswith(INFO)} == expected


def test_the_sdist_holds_the_package_and_the_texts_beside_it(sdist: Path) -> None:
    content = unpacked(sdist)
    package = {name for name in content if name.startswith("src/bequeath/")}
    assert package == {f"src/{name}" for name in sources()}
    beside = {
        "PKG-INFO",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        ".gitignore",
    }
    assert content.keys() - package == beside


def test_no_file_names_a_place_on_this_machine(wheel: Path, sdist: Path) -> None:
    places = [f"{place}/".encode() for place in (ROOT, Path.home(), sys.prefix)]
    for content in (unzipped(wheel), unpacked(sdist)):
        assert [name for name, data in content.items() if any(place in data for place in places)] == []


def test_the_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    assert unzipped(build(tmp_path / NAME, "wheel", tmp_path / "dist")) == unzipped(wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel, which takes its dependencies from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path that is named in a .pth file brings no .pth files of its own: the checkout stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def outside(folder: Path) -> Mapping[str, str]:
    """The environment variables without those that lead to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(folder)}


def test_the_installed_package_is_imported_and_decomposes(installed: Path, tmp_path: Path) -> None:
    code = (
        "import bequeath as bq, torch\n"
        "reading = bq.decompose(torch.tensor([0.0, 1.0, 2.0, 5.0]), 'and')\n"
        "print(bq.__file__)\n"
        "print([round(x, 6) for x in reading.and_.tolist()])\n"
    )
    command = [installed / "python", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, effects = done.stdout.splitlines()
    assert Path(place).is_relative_to(installed.parent)
    assert effects == "[0.0, 1.0, 2.0, 2.0]"


def test_the_installed_command_writes_a_study_file_that_it_carries(installed: Path, tmp_path: Path) -> None:
    def bequeath_(*args: str) -> str:
        command = [installed / "bequeath", *args]
        done = subprocess.run(command, cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert bequeath_("--version") == f"bequeath {bequeath.__version__}\n"
    bequeath_("init", "study.yaml")
    assert (tmp_path / "study.yaml").read_bytes() == (ROOT / "src/bequeath/study/study.yaml").read_bytes()
