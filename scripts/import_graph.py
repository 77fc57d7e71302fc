"""Draw the import graph: python scripts/import_graph.py [docs/import-graph.svg]

Each folder is a box, in the order of the design. An arrow runs from a folder up to one that it imports. Arrows that no
longer path implies are on the left; the others are on the right, in grey. An arrow that runs down, or closes a circle,
is red and reported on stderr, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

sys.path.insert(0, str(Path(__file__).parent))
from imports import SOURCE, Edges, circles, down, file_edges, folder_edges, folder_of, ranked, reached

_TARGET = SOURCE.parents[1] / "docs/import-graph.svg"
_INK, _PALE, _BAD, _BOX = "#24476b", "#b9c2cc", "#c8102e", "#eef3f8"
# A box's half width and half height; rows are one apart.
_WIDE, _HIGH = 0.95, 0.3


def draw(edges: Edges) -> Figure:
    """The graph of folders."""
    order = ranked(edges)
    row = {folder: place for place, folder in enumerate(order)}
    bad = set(down(edges))
    up = {a: {b for b in imported if (a, b) not in bad} for a, imported in edges.items()}
    figure = Figure(figsize=(6.2, 0.62 * len(order) + 0.4), layout="constrained")
    axes = figure.add_subplot()
    # Each arrow at a side of a box has its own height; arrows of the nearest neighbours lie outermost.
    kinds = {(a, b): (-1 if (a, b) in bad or not _implied(a, b, up) else 1) for a in order for b in edges[a]}
    ports = _ports(kinds, row)
    for arrow in sorted(
        kinds, key=lambda arrow: (arrow in bad, kinds[arrow] < 0, row[arrow[0]], row[arrow[1]])
    ):
        colour = _BAD if arrow in bad else _INK if kinds[arrow] < 0 else _PALE
        _arrow(axes, kinds[arrow], ports[arrow, "from"], ports[arrow, "to"], colour)
    for folder in order:
        _box(axes, folder, -row[folder])
    axes.set(xlim=(-3.0, 4.4), ylim=(0.55 - len(order), 0.45))
    axes.set_axis_off()
    return figure


def _implied(a: str, b: str, up: Edges) -> bool:
    """Whether a longer path leads from a to b."""
    return any(b in reached(between, up) for between in up[a] - {b})


def _ports(
    kinds: dict[tuple[str, str], int], row: dict[str, int]
) -> dict[tuple[tuple[str, str], str], float]:
    """The height at which each arrow leaves and enters; from the top of a box's side to its foot, by other end."""
    heights = {}
    for folder, place in row.items():
        for side in (-1, 1):
            mine = [arrow for arrow, which in kinds.items() if which == side and folder in arrow]
            # Arrows that go up leave at the top, the nearest first; those from below enter at the bottom, nearest last.
            others = [(row[b] if a == folder else row[a], (a, b)) for a, b in mine]
            above = sorted((o for o in others if o[0] < place), reverse=True)
            below = sorted((o for o in others if o[0] > place), reverse=True)
            for k, (_, arrow) in enumerate([*above, *below]):
                end = "from" if arrow[0] == folder else "to"
                heights[arrow, end] = -place + _HIGH * (1 - 2 * (k + 1) / (len(mine) + 1))
    return heights


def _arrow(axes: Axes, side: int, start: float, end: float, colour: str) -> None:
    """A curve beside the boxes, the further out the longer it is."""
    x = side * _WIDE
    out = side * (_WIDE + 0.35 + 0.3 * abs(end - start))
    curve = Curve([(x, start), (out, start), (out, end), (x, end)], [Curve.MOVETO] + [Curve.CURVE4] * 3)
    axes.add_patch(
        FancyArrowPatch(
            path=curve, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.1, joinstyle="miter"
        )
    )


def _box(axes: Axes, folder: str, y: float) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (-_WIDE, y - _HIGH),
            2 * _WIDE,
            2 * _HIGH,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=_BOX,
            edgecolor=_INK,
            linewidth=0.9,
        )
    )
    axes.text(0, y, folder, ha="center", va="center", fontsize=10, color="#10202f")


def _complaints(files: Edges, folders: Edges) -> list[str]:
    """One line for each arrow down, with the imports that make it, and for each circle."""
    lines = []
    for a, b in down(folders):
        made = [
            f"{file} imports {other}"
            for file in sorted(files)
            for other in sorted(files[file])
            if (folder_of(file), folder_of(other)) == (a, b)
        ]
        lines.append(f"down: {a} -> {b}: {'; '.join(made)}")
    for what, edges in (("folders", folders), ("files", files)):
        lines += [f"circle of {what}: {', '.join(group)}" for group in circles(edges)]
    return lines


def main() -> int:
    """Draw the graph, and report what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, nargs="?", default=_TARGET)
    args = parser.parse_args()
    files = file_edges()
    folders = folder_edges(files)
    # Without a date and with fixed ids, so that the file changes only if the graph does.
    with matplotlib.rc_context({"svg.hashsalt": "bequeath"}):
        metadata = {"Date": None, "Creator": None} if args.target.suffix == ".svg" else None
        draw(folders).savefig(args.target, metadata=metadata, facecolor="white", dpi=150)
    complaints = _complaints(files, folders)
    for line in complaints:
        print(line, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
