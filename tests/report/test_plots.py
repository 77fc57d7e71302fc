"""Plots on axes: what they draw, where, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image
from report_findings import make_findings

import bequeath as bq
from bequeath.errors import BequeathError
from bequeath.knowledge.dynamics import dynamics

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    pyplot.close("all")


class RunOf:
    """What plots ask of a run."""

    def __init__(self, findings: dict[str, Any]) -> None:
        self.findings = findings


@pytest.fixture(scope="module")
def readings() -> tuple[bq.Interactions, bq.Interactions]:
    """Two models' readings of 16 samples, in which half of the effects are shared."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(200, 6, generator=generator) < 0.5
    masks[0], masks[1] = False, True
    values = []
    shared = torch.randn(16, 6, generator=generator).double()
    for _ in range(2):
        own = torch.randn(16, 6, generator=generator).double()
        pairs = (masks[:, :5] & masks[:, 1:]).double()
        values.append(masks.double() @ shared.T + pairs @ own[:, :5].T)
    return tuple(bq.fit(masks, value.T, 2) for value in values)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def comparison(readings: tuple[bq.Interactions, bq.Interactions]) -> bq.Comparison:
    return bq.compare(before=readings[0], after=readings[1])


def test_given_axes_are_drawn_on_and_returned(readings, comparison):
    figure, axes = pyplot.subplots(2, 3)
    picture = torch.rand(3, 6, 9)
    drawn = [
        readings[0].plot(ax=axes[0, 0]),
        readings[0][0].plot(ax=axes[0, 1]),
        bq.plots.on_image(readings[0][0], picture, bq.players.grid(2, 3), ax=axes[0, 2]),
        comparison.plot(ax=axes[1, 0]),
        comparison.share("preserved").plot(name="preserved", ax=axes[1, 1]),
        bq.plots.by_order(comparison, ax=axes[1, 2]),
    ]
    assert drawn == list(axes.flatten())
    assert pyplot.get_fignums() == [figure.number]
    for one in drawn:
        assert one.has_data()


def test_without_axes_a_new_figure_is_made_and_settings_stay(comparison):
    before = dict(matplotlib.rcParams)
    axes = comparison.plot()
    assert pyplot.get_fignums() == [axes.figure.number]
    assert dict(matplotlib.rcParams) == before


def test_bars_are_the_strongest_terms_with_their_signs_and_errors(readings):
    one = readings[0][3]
    axes = bq.plots.interactions(one, k=4)
    terms = one.top(4)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([term.value for term in terms])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{term.type.upper()} {term.name}" for term in terms
    ]
    ends = [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]
    assert np.allclose(ends, [(t.value - t.error, t.value + t.error) for t in terms])


def test_bars_of_several_samples_are_means_with_intervals(readings):
    axes = bq.plots.interactions(readings[0], k=3)
    names = [label.get_text() for label in axes.get_yticklabels()]
    mean: dict[str, list[float]] = {}
    for sample in range(16):
        for term in readings[0].terms(sample):
            mean.setdefault(f"{term.type.upper()} {term.name}", []).append(term.value)
    strength = {name: sum(map(abs, values)) / 16 for name, values in mean.items()}
    assert names == sorted(strength, key=strength.__getitem__, reverse=True)[:3]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([sum(mean[n]) / 16 for n in names])
    for lines, bar in zip(axes.collections, axes.patches, strict=True):
        (low, high) = lines.get_segments()[0][:, 0]
        assert low < bar.get_width() < high
    assert "16 samples" in axes.get_xlabel()


def test_players_are_outlined_where_they_lie():
    # One interaction of the upper left and the lower right cell; nothing else.
    effects = bq.decompose(
        torch.tensor([1.0 if index & 9 == 9 else 0.0 for index in range(16)]), "and", players=list("abcd")
    )
    axes = bq.plots.on_image(effects, np.zeros((20, 40, 3), np.uint8), bq.players.grid(2, 2), k=1)
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    centres = [(box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2) for box in boxes]
    assert centres == [pytest.approx((10, 5)), pytest.approx((30, 15))]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["AND +1.00"]


def test_superpixels_are_outlined_along_their_edges():
    picture = torch.zeros(3, 16, 16)
    picture[:, :, 8:] = 1
    players = bq.players.superpixels(2)
    effects = bq.decompose(torch.tensor([0.0, 1.0, 0.0, 1.0]), "and")
    areas = players.label_map(picture)
    axes = bq.plots.on_image(effects, picture, players, k=1)
    line = np.concatenate([path.vertices for lines in axes.collections for path in lines.get_paths()])
    columns = np.flatnonzero((areas == 0).any(0))
    assert line[:, 0].min() == pytest.approx(columns.min(), abs=0.51)
    assert line[:, 0].max() == pytest.approx(columns.max() + 1, abs=0.51)


@pytest.mark.parametrize(
    "picture",
    [
        torch.rand(3, 8, 8),
        torch.randn(3, 8, 8) * 4,
        torch.rand(1, 8, 8),
        np.full((8, 8), 0.3),
        np.zeros((8, 8, 3), np.uint8),
        Image.new("RGB", (8, 8)),
    ],
    ids=["tensor", "normalised", "grey", "array", "bytes", "PIL"],
)
def test_pictures_of_all_kinds_are_shown(picture):
    effects = bq.decompose(torch.arange(16.0), "and")
    shown = bq.plots.on_image(effects, picture, bq.players.grid(2, 2)).images[0].get_array()
    assert shown.shape[:2] == (8, 8)
    assert shown.dtype == np.uint8 or 0 <= shown.min() <= shown.max() <= 1


def test_words_of_an_interaction_are_marked():
    values = torch.tensor([0.0, 0, 0, 2, 0, 0, 0, 2]) - torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1])
    effects = bq.decompose(values, "and", players=["not", "good", "film"])
    axes = bq.plots.on_text(effects, k=2)
    marked = [
        (text.get_text(), to_hex(text.get_bbox_patch().get_facecolor())) for text in axes.texts if text.get_bbox_patch()
    ]  # fmt: skip
    raises, lowers = (axes.texts[0].get_bbox_patch(), axes.texts[-1].get_bbox_patch())
    assert [word for word, _ in marked] == ["not", "good", "film"]
    assert marked[0][1] == marked[1][1] != marked[2][1]
    assert raises is not None
    assert lowers is not None


def test_long_texts_are_wrapped():
    words = [f"word{place}" for place in range(24)]
    masks = torch.cat((torch.zeros(1, 24, dtype=torch.bool), torch.rand(99, 24) < 0.5))
    effects = bq.fit(masks, masks[:, 0].double(), 1, players=words)
    axes = bq.plots.on_text(effects, k=1)
    assert len({text.get_position()[1] for text in axes.texts}) == 3
    assert len(axes.texts) == 24


def test_shares_stand_between_chance_and_the_same_model(comparison):
    axes = bq.plots.shares(comparison)
    points = {line.get_label(): line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"}
    assert points == {
        name: pytest.approx(comparison.share(name).corrected) for name in ("preserved", "discarded", "new")
    }
    said = " ".join(text.get_text() for text in axes.texts)
    assert f"observed {100 * comparison.share('preserved').observed:.1f}%" in said


def test_a_share_that_is_not_measurable_has_its_reason(readings):
    few = bq.compare(before=readings[0][:4], after=readings[1][:4])
    axes = bq.plots.shares(few)
    assert any("only 4 samples" in text.get_text() for text in axes.texts)
    with pytest.raises(BequeathError, match="share: not measurable: only 4 samples"):
        few.share("preserved").plot()


def test_runs_are_drawn_from_their_findings(image_findings):
    run = RunOf(image_findings)
    assert len(bq.plots.shares(run).get_yticklabels()) == 4
    assert "same model again" in [text.get_text() for text in bq.plots.by_order(run).texts]
    assert [line.get_text() for line in bq.plots.courses(run).get_legend().get_texts()] == ["birds", "cold"]
    without = RunOf(image_findings | {"dynamics": None})
    with pytest.raises(BequeathError, match="courses: no checkpoints"):
        bq.plots.courses(without)


def test_courses_of_dynamics(readings):
    orders = torch.tensor([1, 1, 2, 2])
    effects = torch.rand(3, 10, 2, 4, generator=torch.Generator().manual_seed(1)).double()
    course = dynamics(effects, [0, 10, 100], orders)
    axes = bq.plots.courses({"after": course, "control": course})
    line = axes.lines[0]
    assert line.get_xdata().tolist() == [0, 10, 100]
    assert line.get_ydata() == pytest.approx([one.mean for one in course.approach.corrected()])
    assert course.plot().has_data()


def test_strength_by_order(readings):
    axes = bq.plots.by_order(readings[0])
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(2, -1).sum(0)
    assert heights == pytest.approx(readings[0].by_order().mean(0)[1:3].numpy())


def test_documents_are_read_from_their_files(tmp_path):
    for draw in (bq.plots.ranking, bq.plots.layers):
        with pytest.raises(BequeathError, match=r"rank\.json: cannot be read as JSON"):
            draw(tmp_path / "rank.json")
    (tmp_path / "list.json").write_text(json.dumps([1]))
    with pytest.raises(
        BequeathError, match=r"list\.json: not a document of bequeath rank or bequeath layers"
    ):
        bq.plots.ranking(tmp_path / "list.json")
    with pytest.raises(BequeathError, match='what is "swaps" or "profile"'):
        bq.plots.layers({}, what="all")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: bq.plots.on_image(i, torch.rand(3, 8, 8), bq.players.grid(2, 3)), r"on_image: .*of one, such as"),
        (lambda i: bq.plots.on_text(i), r"on_text: .*of one, such as interactions\[0\]"),
        (lambda i: bq.plots.on_text(i[0], ["a"]), "on_text: 1 words for 6 players"),
        (lambda i: bq.plots.on_image(i[0], torch.rand(3, 8, 8), bq.players.grid(2, 2)), "4 players for .* 6"),
        (lambda i: bq.plots.on_image(i[0], torch.rand(5, 8, 8), bq.players.grid(2, 3)), r"a picture of shape \(5, 8"),
        (lambda i: bq.plots.on_image(i[0], torch.rand(3, 8, 8), bq.players.grid(2, 3), k=9), "k is 9; .* 1 to 6"),
        (
            lambda i: bq.plots.on_image(i[0], torch.rand(3, 8, 8), bq.players.columns(list("abcdef"))),
            "no places in a picture",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(readings, call, message):
    with pytest.raises(BequeathError, match=message):
        call(readings[0])


def test_every_public_plot_takes_axes():
    for name in bq.plots.__all__:
        assert "ax" in getattr(bq.plots, name).__code__.co_varnames, name


def test_findings_of_two_models_can_be_drawn():
    assert len(bq.plots.shares(RunOf(make_findings("image", cast="two"))).get_yticklabels()) == 3
