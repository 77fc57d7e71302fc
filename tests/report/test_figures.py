"""Each figure draws what the findings say: bars, points, labels, and one colour for one meaning."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bequeath.report import curves, figures, style


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def heights(axes: Axes, meaning: str) -> list[float]:
    return [p.get_height() for p in axes.patches if to_hex(p.get_facecolor()) == style.COLOURS[meaning]]


@pytest.mark.parametrize(("model", "rest"), [("pretrained", "discarded"), ("finetuned", "new")])
@pytest.mark.parametrize("kind", ["all", "and", "or"])
def test_strength_bars_stack_up_to_the_model(
    image_findings: dict[str, Any], model: str, rest: str, kind: str
) -> None:
    axes = axes_of(figures.strength_by_order(image_findings, model, kind))
    rows = figures.rows_of(image_findings, kind)
    assert [row["order"] for row in rows] == [1, 2, 3, 4, 5, 6]
    kept, other = heights(axes, "preserved"), heights(axes, rest)
    assert len(axes.patches) == 12
    assert kept == [row["strength"]["preserved"]["mean"] for row in rows]
    upper = [p.get_y() for p in axes.patches if to_hex(p.get_facecolor()) == style.COLOURS[rest]]
    assert upper == kept
    totals = [a + b for a, b in zip(kept, other, strict=True)]
    assert totals == pytest.approx([row["strength"][model]["mean"] for row in rows])
    assert axes.get_title("left") == f"{style.LABELS[model].capitalize()}, {style.KINDS[kind]}"
    assert axes.get_ylabel() == "mean strength per sample"


def test_both_models_are_drawn_on_one_scale(image_findings: dict[str, Any]) -> None:
    tops = {m: axes_of(figures.strength_by_order(image_findings, m)).get_ylim() for m in figures.REST}
    assert tops["pretrained"] == tops["finetuned"]
    highest = max(row["strength"]["finetuned"]["high"] for row in figures.rows_of(image_findings, "all"))
    assert tops["pretrained"][1] > highest


def test_whiskers_are_the_intervals(image_findings: dict[str, Any]) -> None:
    axes = axes_of(figures.strength_by_order(image_findings, "pretrained"))
    drawn = [segment[:, 1].tolist() for lines in axes.collections for segment in lines.get_segments()]
    rows = figures.rows_of(image_findings, "all")
    for part in ("preserved", "pretrained"):
        for row in rows:
            assert [row["strength"][part]["low"], row["strength"][part]["high"]] in drawn


def test_overview_puts_preserved_between_discarded_and_new(image_findings: dict[str, Any]) -> None:
    axes = axes_of(figures.overview(image_findings))
    bars = [(to_hex(p.get_facecolor()), p.get_x(), p.get_width()) for p in axes.patches]
    strength = image_findings["knowledge"]["by_order"][0]["strength"]
    assert [colour for colour, _, _ in bars] == [
        style.COLOURS[part] for part in ("discarded", "preserved", "new", "relearned")
    ]
    assert bars[0][2] + bars[1][2] == pytest.approx(strength["pretrained"]["mean"])
    assert bars[1][2] + bars[2][2] == pytest.approx(strength["finetuned"]["mean"])
    assert bars[3][1] == bars[1][1]


@pytest.mark.parametrize("share", ["preserved", "relearned"])
def test_shares_leave_gaps_where_there_is_nothing(image_findings: dict[str, Any], share: str) -> None:
    axes = axes_of(figures.share_by_order(image_findings, share))
    points = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(points) == ["AND + OR", "AND", "OR"]
    assert [y != y for y in points["OR"]] == [True] + [False] * 5
    assert points["AND"][0] == figures.rows_of(image_findings, "and")[0]["shares"][share]["mean"]


def test_cancellation_has_a_line_for_each_model_and_the_discarded(image_findings: dict[str, Any]) -> None:
    axes = axes_of(figures.cancellation_by_order(image_findings))
    assert [line.get_label() for line in axes.lines] == ["pre-trained", "fine-tuned", "scratch", "discarded"]
    assert axes.get_ylabel() == "|sum of effects| / sum of |effects|"


def test_regions_are_seven_and_in_order(image_findings: dict[str, Any]) -> None:
    strength = axes_of(figures.region_strength(image_findings))
    labels = [label.get_text() for label in strength.get_yticklabels()]
    assert labels == list(style.REGIONS.values())
    by_name = {row["region"]: row["strength"]["mean"] for row in image_findings["regions"]}
    assert [p.get_width() for p in strength.patches] == [by_name[name] for name in style.REGIONS]
    effects = axes_of(figures.region_effects(image_findings))
    points = {line.get_label(): len(line.get_xdata()) for line in effects.lines if line.get_marker() == "o"}
    assert points == {"pre-trained": 4, "fine-tuned": 4, "scratch": 4}


def test_curves_over_steps(image_findings: dict[str, Any]) -> None:
    similarity = axes_of(curves.similarity_over_steps(image_findings))
    accuracy = axes_of(curves.accuracy_over_steps(image_findings))
    for axes in (similarity, accuracy):
        assert [line.get_label() for line in axes.lines] == ["fine-tuned", "scratch"]
        assert list(axes.lines[0].get_xdata()) == [0, 1, 3, 10, 32, 100, 240]
        assert len(axes.collections) == 2
    assert similarity.get_xlim() == accuracy.get_xlim()
    assert similarity.lines[0].get_ydata()[-1] == 1
    assert [t for t in similarity.get_xticks() if t <= 240] == [0, 1, 10, 100]
    third = axes_of(curves.similarity_over_steps(image_findings, order=3))
    assert third.lines[1].get_ydata()[2] == image_findings["dynamics"]["scratch"][2]["by_order"][2]["mean"]
    assert third.get_title("left") == "Order 3"


def test_one_run_alone_is_drawn(image_findings: dict[str, Any]) -> None:
    image_findings["dynamics"]["scratch"] = None
    axes = axes_of(curves.similarity_over_steps(image_findings))
    assert [line.get_label() for line in axes.lines] == ["fine-tuned"]


def test_sparsity_curves(image_findings: dict[str, Any]) -> None:
    axes = axes_of(curves.sparsity_curve(image_findings))
    assert [line.get_label() for line in axes.lines] == ["pre-trained", "fine-tuned", "scratch"]
    assert list(axes.lines[2].get_xdata()) == [1, 2, 5, 10, 20, 50, 100]


def test_svg_keeps_text_follows_the_page_and_reads_aloud(image_findings: dict[str, Any]) -> None:
    figure = figures.strength_by_order(image_findings, "pretrained")
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
    figures.share_by_order(image_findings, "preserved").savefig(path)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_meanings_have_their_own_colours_in_light_and_dark() -> None:
    assert style.COLOURS.keys() == style.DARK.keys()
    for palette in (style.COLOURS, style.DARK):
        assert len(set(palette.values())) == len(palette)
        assert all(colour == colour.lower() for colour in palette.values())
