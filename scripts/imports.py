"""The imports in src/bequeath, read from the source. `import_graph.py` draws them, tests/test_layers.py checks them.

Imports inside functions and under TYPE_CHECKING count like all others. A file is named by its path from src/bequeath.
`__init__.py` at the top is the public face and not part of the graph; `errors.py`, `files.py`, `printable.py` and
`bars.py` serve every layer. Methods that draw ask the public face for `bequeath.plots`, as a user does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

SOURCE = Path(__file__).resolve().parents[1] / "src/bequeath"
# From top to bottom: each imports only those before it.
LAYERS = (
    "lattice",
    "games",
    "knowledge",
    "models",
    "data",
    "training",
    "report",
    "study",
    "rank",
    "layers",
    "suite",
    "cli",
)
SHARED = ("printable", "errors", "files", "bars")
_FACE = "__init__.py"
# The folders of study in the order of the design; the files beside them, which use all folders, come last.
_STUDY = ("study/config", "study/loading", "study/store", "study/engines", "study/findings")

Edges = dict[str, set[str]]
"""Importer -> what it imports."""


def layer_of(file: str) -> str:
    """The layer of a file, which may be the file itself, such as cli.py."""
    return PurePosixPath(file).parts[0].removesuffix(".py")


def folder_of(file: str) -> str:
    """The layer of a file; in study, its folder."""
    parts = PurePosixPath(file).parts
    return "/".join(parts[:2]) if parts[0] == "study" and len(parts) > 2 else layer_of(file)


def file_edges(source: Path = SOURCE) -> Edges:
    """Imports between files."""
    files = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*.py"))}
    del files[_FACE]
    return {
        name: {found for module in _imported(path, name) if (found := _file(module, files)) and found != name}
        for name, path in files.items()
    }


def folder_edges(files: Edges) -> Edges:
    """Imports between folders; files that serve every layer are left out."""
    edges: Edges = {folder_of(file): set() for file in files if layer_of(file) not in SHARED}
    for importer, imported in files.items():
        if folder_of(importer) in edges:
            edges[folder_of(importer)] |= {folder_of(file) for file in imported} & edges.keys()
    return {folder: imported - {folder} for folder, imported in edges.items()}


def ranked(folders: Iterable[str]) -> list[str]:
    """Folders from top to bottom. A folder of study that the design does not name comes after those that it names."""
    rank = {folder: place for place, folder in enumerate((*LAYERS[: LAYERS.index("study")], *_STUDY))}
    last = {layer: place for place, layer in enumerate(LAYERS)}
    return sorted(folders, key=lambda f: (last[layer_of(f)], f == "study", rank.get(f, len(rank)), f))


def down(edges: Edges) -> list[tuple[str, str]]:
    """Arrows to a folder below the importer."""
    order = ranked(edges)
    return [(a, b) for a in order for b in sorted(edges[a]) if order.index(b) > order.index(a)]


def wrong_layers(files: Edges) -> list[tuple[str, str]]:
    """Importer and imported file wherever a layer imports one below it."""
    rank = {layer: place for place, layer in enumerate((*SHARED, *LAYERS))}
    return [
        (importer, file)
        for importer, imported in files.items()
        for file in sorted(imported)
        if rank[layer_of(file)] > rank[layer_of(importer)]
    ]


def circles(edges: Edges) -> list[list[str]]:
    """Groups of names that import each other, directly or indirectly."""
    all_of = {name: reached(name, edges) for name in edges}
    groups = {frozenset(other for other in all_of[name] if name in all_of[other]) for name in edges}
    return sorted(sorted(group) for group in groups if group)


def reached(start: str, edges: Edges) -> set[str]:
    """Everything that a name imports, directly or indirectly."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return seen


def _imported(path: Path, name: str) -> Iterator[str]:
    """A file's imports from bequeath, as dotted names without `bequeath.`: games.game, games.game.Game."""
    package = PurePosixPath(name).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = package[: len(package) + 1 - node.level] if node.level else ()
            start = ["bequeath", *here] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            modules = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (module.removeprefix("bequeath.") for module in modules if module.startswith("bequeath."))


def _file(module: str, files: Iterable[str]) -> str | None:
    """The file of a module, or of the module that a name is taken from; None for the public face."""
    while module:
        stem = module.replace(".", "/")
        for file in (f"{stem}.py", f"{stem}/{_FACE}"):
            if file in files:
                return file
        module = module.rpartition(".")[0]
    return None
