"""The house's rules: each layer imports only the ones above it, no circles, and modules of a size to be read."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from imports import LAYERS, SHARED, SOURCE, circles, down, file_edges, folder_edges, layer_of, wrong_layers

EDGES = file_edges()


def test_every_file_has_a_layer():
    assert {layer_of(file) for file in EDGES} == {*LAYERS, *SHARED}


def test_no_layer_imports_a_lower_one():
    assert [f"{file} imports {other}" for file, other in wrong_layers(EDGES)] == []


def test_no_circles_between_files():
    assert circles(EDGES) == []


def test_commands_of_their_own_do_not_lean_on_each_other():
    edges = folder_edges(EDGES)
    assert "layers" not in edges["rank"]
    assert "rank" not in edges["layers"]


def test_the_lattice_knows_no_models():
    for path in (SOURCE / "lattice").rglob("*.py"):
        text = path.read_text()
        assert [word for word in ("torch.nn", "import nn", ", nn\n") if word in text] == [], path


def test_knowledge_names_no_model():
    for path in (SOURCE / "knowledge").rglob("*.py"):
        text = path.read_text()
        assert [name for name in ("pretrained", "finetuned", "scratch") if name in text] == [], path


def test_modules_stay_readable():
    long = {p.name: n for p in SOURCE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 330}
    assert long == {}


@pytest.fixture
def house(tmp_path):
    """A small package, from texts by file."""

    def build(**files):
        for name, text in {"__init__": "import bequeath.cli", **files}.items():
            path = tmp_path / f"{name.replace('.', '/')}.py"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        return file_edges(tmp_path)

    return build


def test_every_way_of_importing_counts(house):
    edges = house(
        **{
            "lattice.__init__": "",
            "lattice.a": "import bequeath.lattice.b\nimport torch",
            "lattice.b": "def f():\n    from bequeath.lattice import c",
            "lattice.c": "if TYPE_CHECKING:\n    from bequeath.games.game import Game",
            "games.game": "from ..lattice.a import thing\nfrom . import other",
            "games.other": "from bequeath import lattice",
            "errors": "",
            "cli": "from bequeath.errors import E\nfrom .games import game",
        }
    )
    assert edges == {
        "lattice/__init__.py": set(),
        "lattice/a.py": {"lattice/b.py"},
        "lattice/b.py": {"lattice/c.py"},
        "lattice/c.py": {"games/game.py"},
        "games/game.py": {"lattice/a.py", "games/other.py"},
        "games/other.py": {"lattice/__init__.py"},
        "errors.py": set(),
        "cli.py": {"errors.py", "games/game.py"},
    }
    assert wrong_layers(edges) == [("lattice/c.py", "games/game.py")]
    assert circles(edges) == [["games/game.py", "lattice/a.py", "lattice/b.py", "lattice/c.py"]]
    folders = folder_edges(edges)
    assert folders == {"lattice": {"games"}, "games": {"lattice"}, "cli": {"games"}}
    assert down(folders) == [("lattice", "games")]
    assert circles(folders) == [["games", "lattice"]]


def test_what_serves_all_imports_no_layer(house):
    edges = house(**{"errors": "from bequeath.lattice import a", "lattice.a": ""})
    assert wrong_layers(edges) == [("errors.py", "lattice/a.py")]
