"""Names that hold signs of Markdown, of terminals or of HTML stand on the page of results as they are."""

from xml.etree import ElementTree

import pytest
from test_results_page import make_results

from bequeath.printable import all_printable, is_text, printable
from bequeath.report import style
from bequeath.suite import figures
from bequeath.suite.markdown import address, code, escaped
from bequeath.suite.page import render

HOSTILE = "a|b <script>alert(1)</script> $x$ `rm` *b* [l](http://x) \x1b[31mred\n\u202eevil & _i_ snake_case"


def test_signs_of_markdown_are_written_out():
    assert escaped(HOSTILE) == (
        "a&#124;b &lt;script&gt;alert(1)&lt;/script&gt; &#36;x&#36; &#96;rm&#96; &#42;b&#42; [l&#93;(http://x) "
        "&#92;x1b[31mred&#92;n&#92;u202eevil &amp; &#95;i&#95; snake_case"
    )
    assert escaped("27% [20%, 36%], ImageNet-1k (v2): é") == "27% [20%, 36%], ImageNet-1k (v2): é"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("ls -l", "`ls -l`"), ("a `b` c", "``a `b` c``"), ("``x", "``` ``x ```"), ("a\nb", "`a\\nb`")],
)
def test_code_stays_code(text, shown):
    assert code(text) == shown
    assert address("my (page) 1.svg") == "my%20%28page%29%201.svg"


def test_a_hostile_name_changes_no_cell_and_no_picture():
    plain, other = make_results("three"), make_results("three")
    other["rows"][0]["name"] = HOSTILE
    other["rows"].append({**other["rows"][-1], "error": HOSTILE})
    page = render(other, {"shares": "a b.svg"}, "bequeath suite `x`.yaml")
    assert "\x1b" not in page
    assert "<script" not in page
    assert "![Preserved share and R of every row, from chance to what can be read](a%20b.svg)" in page
    usual = [
        line.count("|") for line in render(plain, {"shares": "a"}, "c").splitlines() if line.startswith("| ")
    ]
    assert [line.count("|") for line in page.splitlines() if line.startswith("| ")] == usual
    for name, (draw, rows_of, title) in figures.ALL.items():
        if rows_of(other):
            svg = style.to_svg(draw(all_printable(other)), name, title, title, inline=False)
            texts = "".join(ElementTree.fromstring(svg).itertext())
            assert name == "causal" or name == "courses" or name == "phases" or "<script>alert(1)" in texts
            assert "\x1b" not in svg


def test_names_are_shown_in_one_line():
    assert printable("caf\udce9.png \x1b[2J\r\n\u2028\u202e") == r"caf\xe9.png \x1b[2J\r\n\u2028\u202e"
    assert printable("日本語 👩‍👩‍👧 naïve") == "日本語 👩‍👩‍👧 naïve"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert not is_text("caf\udce9")
