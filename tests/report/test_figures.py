"""Each figure draws what the findings say: bars, points, labels, and one colour for one meaning."""

# ruff: noqa: RUF001 -- labels have real dashes.

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from report_findings import CASTS, estimate, make_findings

from bequeath.report import curves, figures, models, scales, style


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def heights(axes: Axes, meaning: str) -> list[float]:
    return [p.get_height() for p in axes.patches if to_hex(p.get_facecolor()) == style.COLOURS[meaning]]


@pytest.mark.parametrize(("role", "rest"), [("before", "discarded"), ("after", "new")])
@pytest.mark.parametrize("kind", ["all", "and", "or"])
def test_strength_bars_stack_up_to_the_model(
    image_findings: dict[str, Any], role: str, rest: str, kind: str
) -> None:
    axes = axes_of(figures.strength_by_order(image_findings, role, kind))
    rows = figures.rows_of(image_findings, kind)
    assert [row["order"] for row in rows] == [1, 2, 3, 4, 5, 6][kind == "or" :]
    kept, other = heights(axes, "preserved"), heights(axes, rest)
    assert len(axes.patches) == 2 * len(rows)
    assert kept == [row["strength"]["preserved"]["mean"] for row in rows]
    upper = [p.get_y() for p in axes.patches if to_hex(p.get_facecolor()) == style.COLOURS[rest]]
    assert upper == kept
    totals = [a + b for a, b in zip(kept, other, strict=True)]
    assert totals == pytest.approx([row["strength"][role]["mean"] for row in rows])
    assert axes.get_title("left") == f"{image_findings['roles'][role]}, {style.KINDS[kind]}"
    assert axes.get_ylabel() == ("mean strength per sample" if kind == "all" else "")


def test_both_models_are_drawn_on_one_scale(image_findings: dict[str, Any]) -> None:
    tops = {
        role: axes_of(figures.strength_by_order(image_findings, role)).get_ylim() for role in figures.REST
    }
    assert tops["before"] == tops["after"]
    highest = max(row["strength"]["after"]["high"] for row in figures.rows_of(image_findings, "all"))
    assert tops["before"][1] > highest


def test_whiskers_are_the_intervals(image_findings: dict[str, Any]) -> None:
    axes = axes_of(figures.strength_by_order(image_findings, "before"))
    drawn = [segment[:, 1].tolist() for lines in axes.collections for segment in lines.get_segments()]
    rows = figures.rows_of(image_findings, "all")
    for part in ("preserved", "before"):
        for row in rows:
            assert [row["strength"][part]["low"], row["strength"][part]["high"]] in drawn


def test_overview_puts_preserved_between_discarded_and_new(image_findings: dict[str, Any]) -> None:
    axes = axes_of(figures.overview(image_findings))
    bars = [(to_hex(p.get_facecolor()), p.get_x(), p.get_width()) for p in axes.patches]
    strength = image_findings["knowledge"]["by_order"][0]["strength"]
    assert [colour for colour, _, _ in bars] == [
        style.COLOURS[part] for part in ("discarded", "preserved", "new", "relearned")
    ]
    assert bars[0][2] + bars[1][2] == pytest.approx(strength["before"]["mean"])
    assert bars[1][2] + bars[2][2] == pytest.approx(strength["after"]["mean"])
    assert bars[3][1] == bars[1][1]


@pytest.mark.parametrize(("discarded", "new"), [(60.0, 1.0), (1.0, 60.0), (5.0, 5.0)])
def test_overview_keeps_its_labels_inside(
    image_findings: dict[str, Any], discarded: float, new: float
) -> None:
    for role in ("before", "after"):
        rename(image_findings, image_findings["roles"][role], f"{role}-resnet50-imagenet-augreg-v2-224")
    strength = image_findings["knowledge"]["by_order"][0]["strength"]
    strength |= {"discarded": estimate(discarded), "preserved": estimate(1.0), "new": estimate(new)}
    figure = figures.overview(image_findings)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for text in figure.axes[0].texts:
        box = text.get_window_extent(renderer)
        assert figure.bbox.x0 <= box.x0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()


@pytest.mark.parametrize(
    ("name", "colours", "words"),
    [
        (
            "preserved",
            ["preserved", "discarded"],
            ["preserved 50%", "discarded 50%", "Of imagenet: 50% [40%, 60%]"],
        ),
        ("new", ["preserved", "new"], ["imagenet has it 55%", "new 45%", "Of birds: 55% [45%, 65%]"]),
        (
            "relearned",
            ["relearned", "preserved"],
            ["cold has it 25%", "it has not 75%", "Of what is preserved: 25%"],
        ),
    ],
)
def test_a_share_is_drawn_from_chance_to_the_same_model(
    image_findings: dict[str, Any], name: str, colours: list[str], words: list[str]
) -> None:
    axes = axes_of(scales.share_scale(image_findings, name))
    assert [to_hex(p.get_facecolor()) for p in axes.patches] == [style.COLOURS[colour] for colour in colours]
    at = axes.patches[0].get_width()
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"] == pytest.approx([at])
    texts = " ".join([*(text.get_text() for text in axes.texts), axes.get_title("left")])
    for text in (*words, "10.0% in common", "70.0% in common", f"{10 + 60 * at:.1f}%"):
        assert text in texts, text
    assert axes.get_title("right") == "p < 0.001, n = 40"


@pytest.mark.parametrize(
    ("corrected", "low", "high"), [(-0.2, -0.6, 0.1), (1.1, 0.8, 1.4), (0.02, -0.1, 0.1)]
)
def test_a_share_may_lie_beside_its_scale(
    image_findings: dict[str, Any], corrected: float, low: float, high: float
) -> None:
    image_findings["knowledge"]["shares"]["preserved"] |= {"corrected": corrected, "low": low, "high": high}
    figure = scales.share_scale(image_findings, "preserved")
    axes, renderer = axes_of(figure), figure.canvas.get_renderer()  # type: ignore[attr-defined]
    left, right = axes.get_xlim()
    assert left < low
    assert high < right
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_orders_that_are_not_measurable_are_left_out(image_findings: dict[str, Any]) -> None:
    shares = image_findings["knowledge"]["shares_by_order"]["preserved"]
    axes = axes_of(scales.corrected_by_order(image_findings, "preserved"))
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    assert list(points.get_xdata()) == [1, 2, 3, 4, 5]
    assert list(points.get_ydata()) == [share["corrected"] for share in shares[:-1]]
    assert scales.unmeasured(image_findings, "preserved") == [6]
    drawn = [segment[:, 1].tolist() for lines in axes.collections for segment in lines.get_segments()]
    assert drawn == [[share["low"], share["high"]] for share in shares[:-1]]
    levels = {
        line.get_label(): line for line in axes_of(scales.levels_by_order(image_findings, "preserved")).lines
    }
    assert list(levels) == ["same model again", "observed", "by chance"]
    assert list(levels["observed"].get_ydata()) == [share["observed"] for share in shares]


@pytest.mark.parametrize("cast", CASTS)
def test_who_is_compared_follows_from_the_roles(cast: str) -> None:
    findings = make_findings(cast=cast)
    names = [model.name for model in models.compared(findings).values()]
    assert names == list(CASTS[cast])[: 2 if cast == "two" else 3]
    cancellation = axes_of(figures.cancellation_by_order(findings))
    assert [line.get_label() for line in cancellation.lines] == [*names, "discarded"]
    assert cancellation.get_ylabel() == "|sum of effects| / sum of |effects|"
    strength = axes_of(figures.region_strength(findings))
    by_size = sorted(findings["regions"], key=lambda row: -len(row["models"]))
    assert [p.get_width() for p in strength.patches] == [row["strength"]["mean"] for row in by_size]
    effects = axes_of(figures.region_effects(findings))
    points = {line.get_label(): len(line.get_xdata()) for line in effects.lines if line.get_marker() == "o"}
    assert points == dict.fromkeys(names, 2 ** (len(names) - 1))
    parts = ("discarded", "preserved", "new", "relearned")[: len(names) + 1]
    overview = axes_of(figures.overview(findings))
    assert [to_hex(p.get_facecolor()) for p in overview.patches] == [style.COLOURS[part] for part in parts]


def test_regions_are_called_by_the_models_names(image_findings: dict[str, Any]) -> None:
    assert [
        label.get_text() for label in axes_of(figures.region_strength(image_findings)).get_yticklabels()
    ] == [
        "all three",
        "imagenet & birds only",
        "imagenet & cold only",
        "birds & cold only",
        "imagenet only",
        "birds only",
        "cold only",
    ]
    two = models.compared(make_findings(cast="two"))
    assert [models.region(members, two) for members in (None, ["before", "after"], ["after"])] == [
        "total: v(N) − v(∅)",
        "both",
        "step 9000 only",
    ]


def test_a_model_without_a_role_and_a_twin_have_looks_of_their_own() -> None:
    looks = models.models(make_findings(cast="five"))
    assert [look.colour for look in looks.values()] == ["before", "after", "control", "after-twin", "other-0"]
    assert len({(look.colour, look.line) for look in looks.values()}) == 5
    many = {
        name: {"role": role}
        for name, role in (("a", "after twin"), ("b", "after twin 2"), ("c", None), ("d", None))
    }
    assert len({(look.colour, look.line) for look in models.models({"models": many}).values()}) == 4


@pytest.mark.parametrize("draw", [figures.region_strength, figures.region_effects, curves.sparsity_curve])
def test_long_names_stay_inside(draw: Any) -> None:
    findings = make_findings(cast="five")
    rename(findings, "dinov2", "dinov2-" + 12 * "very-" + "long $x_1$")
    figure = draw(findings)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    axes = axes_of(figure)
    texts = [*axes.get_yticklabels(), *(text for legend in figure.legends for text in legend.get_texts())]
    boxes = [text.get_window_extent(renderer) for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
    for lower, upper in pairwise(sorted((box.y0, box.y1) for box in boxes)):
        assert lower[1] <= upper[0] + 1.5
    assert axes.xaxis.label.get_window_extent(renderer).y0 > max(
        (text.get_window_extent(renderer).y1 for legend in figure.legends for text in legend.get_texts()),
        default=0,
    )


def runs_in(axes: Axes) -> list[Any]:
    """Lines of runs, without those of chance levels and the like."""
    return [line for line in axes.lines if not str(line.get_label()).startswith("_")]


def rename(findings: dict[str, Any], old: str, new: str) -> None:
    """Call a model otherwise, in all that a figure reads."""
    roles = findings["roles"]
    for role in models.ROLES:
        roles[role] = new if roles[role] == old else roles[role]
    for named in (findings["models"], findings["faithfulness"]["sparsity"]):
        items = [(new if name == old else name, value) for name, value in named.items()]
        named.clear()
        named.update(items)


def test_curves_over_steps(image_findings: dict[str, Any]) -> None:
    similarity = axes_of(curves.similarity_over_steps(image_findings))
    accuracy = axes_of(curves.accuracy_over_steps(image_findings))
    for axes in (similarity, accuracy):
        assert [line.get_label() for line in runs_in(axes)] == ["birds", "cold"]
        assert list(runs_in(axes)[0].get_xdata()) == [0, 1, 3, 10, 32, 100, 240]
        assert len(axes.collections) == 2
    assert similarity.get_xlim() == accuracy.get_xlim()
    assert similarity.lines[0].get_ydata()[-1] == 1
    assert [t for t in similarity.get_xticks() if t <= 240] == [0, 1, 10, 100]
    third = axes_of(curves.similarity_over_steps(image_findings, order=3))
    assert (
        third.lines[1].get_ydata()[2] == image_findings["dynamics"]["runs"]["cold"][2]["by_order"][2]["mean"]
    )
    assert third.get_title("left") == "Order 3"


def test_similarity_is_corrected_and_chance_is_drawn_faintly(image_findings: dict[str, Any]) -> None:
    birds = image_findings["dynamics"]["runs"]["birds"]
    birds[1]["corrected"] |= {"mean": -0.1, "low": -0.3}
    corrected = axes_of(curves.similarity_over_steps(image_findings))
    assert list(runs_in(corrected)[0].get_ydata()) == [point["corrected"]["mean"] for point in birds]
    assert corrected.get_ylim()[0] <= -0.3
    counted = axes_of(curves.levels_over_steps(image_findings))
    assert list(runs_in(counted)[0].get_ydata()) == [point["observed"]["mean"] for point in birds]
    faint = [line for line in counted.lines if line.get_alpha()]
    assert [list(line.get_ydata()) for line in faint] == [
        [point["floor"]["mean"] for point in points] for points in image_findings["dynamics"]["runs"].values()
    ]


def bands(axes: Axes) -> list[list[tuple[float, float]]]:
    """The interval of each point of each band."""
    found = []
    for band in axes.collections:
        # Once there along the one side, and back along the other.
        (path,) = (path.vertices for path in band.get_paths())
        at = {x: sorted({y for other, y in path.tolist() if other == x}) for x in path[:, 0].tolist()}
        found.append([(at[x][0], at[x][-1]) for x in sorted(at)])
    return found


@pytest.mark.parametrize("run", ["birds", "cold"])
def test_strength_over_steps_has_a_line_and_a_band_an_order(image_findings: dict[str, Any], run: str) -> None:
    axes = axes_of(curves.strength_over_steps(image_findings, run))
    points = image_findings["dynamics"]["runs"][run]
    assert [line.get_label() for line in axes.lines] == ["1", "2", "3", "4", "5", "6"]
    for order, (line, band) in enumerate(zip(axes.lines, bands(axes), strict=True)):
        estimates = [point["strength_by_order"][order] for point in points]
        assert line.get_color() == style.COLOURS[f"orders-{order}"]
        assert list(line.get_xdata()) == [point["step"] for point in points]
        assert list(line.get_ydata()) == [e["mean"] for e in estimates]
        assert band == [(e["low"], e["high"]) for e in estimates]
    assert axes.get_title("left") == f"{run}: strength by order"


def test_both_runs_strengths_are_on_the_same_axes(image_findings: dict[str, Any]) -> None:
    runs = image_findings["dynamics"]["runs"]
    first, second = (axes_of(curves.strength_over_steps(image_findings, run)) for run in runs)
    assert (first.get_xlim(), first.get_ylim()) == (second.get_xlim(), second.get_ylim())
    every = [p for points in runs.values() for p in points]
    highest = max(e["high"] for p in every for e in p["strength_by_order"])
    assert highest < first.get_ylim()[1] < 1.1 * highest


@pytest.mark.parametrize(
    ("orders", "names"),
    [
        (1, ["1"]),
        (7, ["1–2", "3–4", "5–6", "7"]),
        (12, ["1–2", "3–4", "5–6", "7–8", "9–10", "11–12"]),
        (13, ["1–3", "4–6", "7–9", "10–12", "13"]),
    ],
)
def test_many_orders_are_drawn_in_groups_of_neighbours(
    image_findings: dict[str, Any], orders: int, names: list[str]
) -> None:
    for points in image_findings["dynamics"]["runs"].values():
        for point in points:
            point["strength_by_order"] = [
                {"mean": 2.0**k, "low": 2.0**k - 0.25, "high": 2.0**k + 0.5, "n": 9} for k in range(orders)
            ]
    axes = axes_of(curves.strength_over_steps(image_findings, "birds"))
    assert [line.get_label() for line in axes.lines] == names
    assert sum(line.get_ydata()[0] for line in axes.lines) == 2**orders - 1
    shades = [line.get_color() for line in axes.lines]
    assert len(set(shades)) == len(shades)
    if orders == 12:
        assert axes.lines[1].get_ydata()[3] == 4 + 8
        assert bands(axes)[1][3] == (12 - 0.5, 12 + 1)


def test_mean_order_has_both_runs_with_their_bands(image_findings: dict[str, Any]) -> None:
    axes = axes_of(curves.mean_order_over_steps(image_findings))
    assert [line.get_label() for line in axes.lines] == ["birds", "cold"]
    runs = image_findings["dynamics"]["runs"].values()
    for points, line, band in zip(runs, axes.lines, bands(axes), strict=True):
        estimates = [point["mean_order"] for point in points]
        assert list(line.get_ydata()) == [e["mean"] for e in estimates]
        assert band == [(e["low"], e["high"]) for e in estimates]
    # Orders of around 4 are not drawn from 0.
    assert axes.get_ylim()[0] > 1


@pytest.mark.parametrize("names", [["cold"], ["resnet", "birds, seed 2", "cold", "dinov2"]])
def test_any_number_of_runs_is_drawn(image_findings: dict[str, Any], names: list[str]) -> None:
    points = image_findings["dynamics"]["runs"]["cold"]
    image_findings["dynamics"]["runs"] = dict.fromkeys(names, points)
    image_findings["models"] = {name: {"role": None} for name in names}
    axes = axes_of(curves.similarity_over_steps(image_findings))
    assert [line.get_label() for line in runs_in(axes)] == names
    assert len({(line.get_color(), line.get_marker()) for line in runs_in(axes)}) == len(names)
    assert len(axes_of(curves.strength_over_steps(image_findings, "cold")).lines) == 6
    assert len(axes_of(curves.mean_order_over_steps(image_findings)).lines) == len(names)


@pytest.mark.parametrize("cast", CASTS)
def test_sparsity_curves(cast: str) -> None:
    axes = axes_of(curves.sparsity_curve(make_findings(cast=cast)))
    assert [line.get_label() for line in axes.lines] == list(CASTS[cast])
    assert list(axes.lines[1].get_xdata()) == [1, 2, 5, 10, 20, 50, 100]


def test_svg_keeps_text_follows_the_page_and_reads_aloud(image_findings: dict[str, Any]) -> None:
    figure = figures.strength_by_order(image_findings, "before")
    svg = style.to_svg(figure, "one", "A <title>", "A & description")
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    assert ">mean strength per sample</text>" in svg
    assert "var(--discarded, #e69f00)" in svg
    assert '<title id="one-title">A &lt;title&gt;</title>' in svg
    assert "A &amp; description" in svg
    assert "<metadata" not in svg
    assert "<!DOCTYPE" not in svg
    assert style.to_svg(figure, "one", "A <title>", "A & description") == svg
    assert 'id="one-' not in style.to_svg(figure, "two", "", "")


def test_figures_save_to_files(image_findings: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "shares.png"
    scales.levels_by_order(image_findings, "preserved").savefig(path)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_meanings_have_their_own_colours_in_light_and_dark() -> None:
    assert style.COLOURS.keys() == style.DARK.keys()
    for palette in (style.COLOURS, style.DARK):
        assert len(set(palette.values())) == len(palette)
        assert all(colour == colour.lower() for colour in palette.values())


@pytest.mark.parametrize("palette", [style.COLOURS, style.DARK], ids=["light", "dark"])
def test_orders_differ_in_lightness_and_stand_out_from_the_paper(palette: dict[str, str]) -> None:
    def luminance(colour: str) -> float:
        parts = np.array(to_rgb(colour))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    shades = [luminance(palette[f"orders-{place}"]) for place in range(style.SHADES)]
    assert shades == sorted(shades, reverse=True)
    paper = luminance(palette["paper"])
    contrasts = [(max(paper, shade) + 0.05) / (min(paper, shade) + 0.05) for shade in shades]
    # What WCAG asks of graphics.
    assert min(contrasts) >= 3
    assert all(a / b > 1.15 or b / a > 1.15 for a, b in pairwise(contrasts))
