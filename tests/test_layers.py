"""The house's one rule: each layer imports only the ones above it."""

import ast
from pathlib import Path

import bequeath

LAYERS = ("lattice", "games", "knowledge", "models", "data", "training", "study", "report", "suite", "cli")
SOURCE = Path(bequeath.__file__).parent


def layer_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_layers(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "bequeath" and len(parts) > 1:
                yield parts[1]


def test_no_layer_imports_a_lower_one():
    wrong = [
        f"{path.relative_to(SOURCE)} imports {layer}"
        for path in SOURCE.rglob("*.py")
        if layer_of(path) in LAYERS
        for layer in imported_layers(path)
        # The run ends by writing its page; the page itself knows findings only, no study.
        if layer in LAYERS
        and LAYERS.index(layer) > LAYERS.index(layer_of(path))
        and (layer_of(path), layer) != ("study", "report")
    ]
    assert wrong == []


def test_the_lattice_knows_no_models():
    for path in (SOURCE / "lattice").glob("*.py"):
        assert "torch.nn" not in path.read_text(), path
        assert "import nn" not in path.read_text(), path


def test_modules_stay_readable():
    long = {p.name: n for p in SOURCE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 330}
    assert long == {}
