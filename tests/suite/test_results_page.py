"""The page and the pictures of a suite's results, of rows with and without a control, made from a made-up document."""

# ruff: noqa: RUF001 -- the page prints real dashes.

from __future__ import annotations

import re
from typing import Any

import pytest
from report_findings import CASTS, estimate, make_findings, share

from bequeath.knowledge.verdicts import VERDICTS
from bequeath.report import style
from bequeath.suite import figures
from bequeath.suite.page import CLAIMS, render


def _pooled(cast: str) -> dict[str, Any]:
    findings = make_findings(cast=cast)
    knowledge = findings["knowledge"]
    keys = ("roles", "models", "ledger", "regions", "dynamics", "claims", "warnings")
    return {
        "study": findings["study"] | {"seeds": 2, "masks": 512, "majority": 0.2},
        "knowledge": knowledge | {"strength": {role: estimate(3.0) for role in findings["ledger"]}},
        **{key: findings[key] for key in keys},
    }


def make_results(*casts: str, causal: bool = True) -> dict[str, Any]:
    """A document with a row for each cast, and one row that failed."""
    starts = {}
    correlations = [{"of": "a", "with": "b", "correlation": estimate(0.4, n=6)} for _ in range(4)]
    rows = []
    for cast in casts:
        pooled = _pooled(cast)
        starts = {
            start: {"accuracy": estimate(0.9)}
            | {
                key: pooled["knowledge"]["shares"][key]
                for key in ("preserved", "relearned")
                if key in pooled["knowledge"]["shares"]
            }
            for start in ("none", "early")
        }
        runs = [
            {
                "start": start,
                "seed": seed,
                "accuracy": 0.8 + 0.05 * seed,
                "preserved": 0.3 + 0.1 * seed,
                "observed": 0.2,
            }
            for start in starts
            for seed in range(2)
        ]
        told = {"starts": starts, "runs": runs, "correlations": correlations} if causal else None
        papers = {
            "players": "3 x 3 grid",
            "shares": {"preserved": share(0.2, 0.185, None)},
            "verdicts": {"F1": "supported"},
        }
        rows.append(
            {
                "key": cast,
                "name": f"Row of {cast}",
                "error": None,
                "pooled": pooled,
                "papers": papers,
                "causal": told,
            }
        )
    failed = {"key": "bad", "name": "Row that failed", "error": "no disk"}
    rows.append(failed | dict.fromkeys(("pooled", "papers", "causal")))
    verdicts = {
        claim: {
            verdict: sum(
                row["pooled"]["claims"].get(claim, {}).get("verdict") == verdict
                for row in rows
                if row["pooled"]
            )
            for verdict in VERDICTS
        }
        for claim in CLAIMS
    }
    return {
        "schema": "bequeath.results/3",
        "rows": rows,
        "verdicts": verdicts,
        "correlations": correlations if causal else None,
    }


def _line(page: str, start: str, head: str) -> list[str]:
    """Cells of the line of one row in the table under a head."""
    lines = page[page.index(head) :].splitlines()
    return [cell.strip() for cell in next(line for line in lines if line.startswith(start)).split("|")[1:-1]]


@pytest.fixture(scope="module")
def page() -> str:
    return render(make_results(*CASTS), {}, "the command")


def test_every_table_is_one(page: str) -> None:
    lines = page.splitlines()
    heads = [i for i, line in enumerate(lines) if re.fullmatch(r"\|(---\|)+", line)]
    assert len(heads) >= 12
    for head in heads:
        block, place = [lines[head - 1]], head
        while lines[place].startswith("|"):
            block.append(lines[place])
            place += 1
        assert len(block) > 2, lines[head - 1]
        assert len({line.count("|") for line in block}) == 1, block


def test_shares_stand_between_chance_and_what_is_read_again(page: str) -> None:
    made = make_findings(cast="three")["knowledge"]["shares"]["preserved"]
    cells = _line(page, "| Row of three |", "| row | observed | by chance | read again")
    assert cells[1:4] == [f"{100 * made[level]:.1f}%" for level in ("observed", "floor", "ceiling")]
    assert cells[4].startswith(f"**{100 * made['corrected']:.0f}% [")
    assert cells[5] == "< 0.001"
    assert "Row of two" not in page[page.index("R, of what is preserved") :].partition("What another seed")[0]
    claims = "| row | F1: little is preserved"
    two, three = (_line(page, f"| Row of {cast} |", claims)[1:] for cast in ("two", "three"))
    assert two[1:3] == ["–", "–"]
    assert set(three) <= set(VERDICTS)
    papers = _line(page, "| Row of two |", "| row | players | preserved, observed")
    assert papers[1:] == ["3 x 3 grid", "20.0%", "18.5%", "supported", "–", "–", "–"]
    assert "F1 would be supported in 3 of 3 rows" in page


def test_what_is_not_measurable_is_no_number_in_bold() -> None:
    document = make_results("three")
    knowledge = document["rows"][0]["pooled"]["knowledge"]
    knowledge["shares"]["relearned"]["reason"] = "cold is not better than always naming the largest class"
    page = render(document, {}, "x")
    part = page[page.index("R, of what is preserved") :].partition("What another seed")[0]
    assert "| not measurable |" in part
    assert "**" not in part.replace("**corrected**", "")
    assert "- Not measurable: relearned of Row of three, because cold is not better" in part


def test_models_are_called_by_their_names(page: str) -> None:
    assert _line(page, "| Row of three |", "| row | before")[1] == "imagenet: mobilenet_v2, before"
    assert _line(page, "| Row of three | cold |", "| row | model | area")[2] == "0.38 [0.35, 0.42]"
    assert "| imagenet & birds only | +0.50 " in page
    assert "resnet50-birds-augreg-v2-seed-2" in page
    assert _line(page, "| Row of two |", "| row | model | output")[1] == "step 9000"
    assert "**Row that failed is not complete:** no disk" in page
    assert not re.search("pretrained|finetuned|None|nan", page)


def test_folders_of_this_machine_are_not_on_the_page() -> None:
    document = make_results("three")
    document["rows"][0]["pooled"]["models"]["imagenet"]["source"] = (
        "transformers:/home/somebody/encoder, linear probe"
    )
    page = render(document, {}, "x")
    assert "| imagenet: transformers:encoder, linear probe |" in page
    assert "somebody" not in page


def test_a_suite_of_two_models_alone_has_a_page() -> None:
    page = render(make_results("two", causal=False), {}, "x")
    assert "No row has disturbed starts." in page
    assert not figures.followed(make_results("two"))


@pytest.mark.parametrize("casts", [("two",), ("two", "three", "five")])
def test_pictures_are_drawn(casts: tuple[str, ...]) -> None:
    document = make_results(*casts)
    for name, (draw, rows_of, title) in figures.ALL.items():
        if rows_of(document):
            svg = style.to_svg(draw(document), name, title, title, inline=False)
            assert "var(" not in svg
    shares = figures.shares(document)
    assert len(shares.axes) == (1 if casts == ("two",) else 2)
    made = make_findings(cast=casts[0])["knowledge"]["shares"]["preserved"]["corrected"]
    dots = [line.get_xdata()[0] for line in shares.axes[0].lines if line.get_marker() == "o"]
    assert dots == pytest.approx([made] * len(casts))
    if "five" in casts:
        legend = figures.courses(document).legends[0]
        assert [text.get_text() for text in legend.get_texts()] == ["after", "control", "after twin"]
