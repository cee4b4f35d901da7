"""The page: it needs no network, runs no script but its own, and shows what it is given as text."""

import base64
import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import html
from plotly.offline import get_plotlyjs

from lakeloop.reports.charts import horizontal_bars, points_and_means
from lakeloop.reports.page import Card, Chart, Section, Table, Verdict, render_page, write_page

HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)> "quoted" 'too' &lt; </script><!-- %{x} {{ 7 * 7 }}"""


def hostile_section() -> Section:
    return Section(
        title=HOSTILE,
        intro=HOSTILE,
        verdict=Verdict(HOSTILE, holds=False),
        cards=(Card(HOSTILE, HOSTILE, HOSTILE, color='red"><script>alert(3)</script>'),),
        charts=(
            Chart(HOSTILE, horizontal_bars([HOSTILE], {HOSTILE: [3]}, {HOSTILE: "red"}, "rows")),
            Chart(HOSTILE, points_and_means([HOSTILE], [[0.1, 0.2]], "area")),
        ),
        tables=(
            Table.of(HOSTILE, [{HOSTILE: HOSTILE}], empty=HOSTILE),
            Table(HOSTILE, (), (), empty=HOSTILE),
        ),
    )


@pytest.fixture(scope="module")
def source() -> str:
    return render_page(HOSTILE, HOSTILE, [hostile_section()])


@pytest.fixture(scope="module")
def page(source: str) -> html.HtmlElement:
    return html.document_fromstring(source, parser=html.HTMLParser(huge_tree=True))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_only_the_two_scripts_of_the_page_itself_can_run(page: html.HtmlElement) -> None:
    own = [script.text for script in page.iter("script") if script.get("type") is None]
    assert [len(own), own[0]] == [2, get_plotlyjs()]
    (policy,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    (allowed,) = [rule.split()[1:] for rule in policy.split(";") if rule.split()[0] == "script-src"]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in own]
    assert allowed == [f"'sha256-{value}'" for value in hashes]
    assert policy.startswith("default-src 'none';")


def test_hostile_values_become_no_element_and_no_attribute(page: html.HtmlElement) -> None:
    assert not page.xpath("//img")
    assert not page.xpath("//@onerror")
    assert page.xpath("//h1/text()") == page.xpath("//h2/text()") == [HOSTILE]
    assert page.xpath("//td/text()") == page.xpath("//th/text()") == [HOSTILE]
    assert page.xpath("//p[contains(@class, 'verdict fails')]/text()") == [HOSTILE]
    assert page.xpath("//figcaption/text()") == page.xpath("//div/@aria-label")[:2] == [HOSTILE, HOSTILE]
    assert set(page.xpath("//div[@class='card']/div/text()")) == {HOSTILE}


def test_hostile_labels_reach_plotly_as_text_without_markup(page: html.HtmlElement) -> None:
    figures = [json.loads(script.text) for script in page.xpath("//script[@type='application/json']")]
    assert len(figures) == 2
    for figure in figures:
        labels = [annotation["text"] for annotation in figure["layout"]["annotations"]]
        assert labels[0].startswith("&lt;script&gt;alert(1)&lt;/script&gt;")
        assert not [text for text in strings(figure) if "<script" in text or "<img" in text]


def test_the_raw_source_of_a_figure_cannot_close_its_script_element(source: str) -> None:
    for part in source.split('<script type="application/json"')[1:]:
        content = part.partition(">")[2].partition("</script>")[0]
        assert "<" not in content
        json.loads(content)


def test_nothing_is_loaded_from_anywhere(page: html.HtmlElement) -> None:
    loaded = page.xpath("//@src | //link/@href | //@srcset | //@action | //@data")
    assert loaded == ["data:,"]
    styles = "".join(page.xpath("//style/text()"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_the_contents_line_leads_to_every_section() -> None:
    page = html.document_fromstring(render_page("t", "s", [Section("One", ""), Section("One", ""), Section("Two", "")]))
    links = page.xpath("//nav/a")
    assert [link.text for link in links] == ["One", "One", "Two"]
    assert [link.get("href")[1:] for link in links] == page.xpath("//section/@id")
    assert len(set(page.xpath("//section/@id"))) == 3


def test_a_chart_finds_its_own_figure(page: html.HtmlElement) -> None:
    places = page.xpath("//@data-figure")
    assert places == page.xpath("//script[@type='application/json']/@id")
    assert len(set(places)) == 2


def test_a_table_without_rows_says_so(page: html.HtmlElement) -> None:
    assert len(page.xpath("//table")) == 1
    assert HOSTILE in page.xpath("//section/p[@class='empty']/text()")


def test_only_a_total_stands_apart() -> None:
    tables = (Table("t", ("a",), ((1,), (2,)), total=(3,)), Table("t", ("a",), ((4,), (5,))))
    page = html.document_fromstring(
        render_page("t", "s", [Section("One", "", tables=tables)]), parser=html.HTMLParser(huge_tree=True)
    )
    assert page.xpath("//tr[@class='total']/td/text()") == ["3"]


def test_numbers_share_their_decimals_and_are_aligned_right() -> None:
    rows = (("a", 1234567, 0.5, Decimal("1.10"), None, True), ("b", None, 1234.25, None, None, False))
    table = Table("t", ("name", "rows", "mean", "euro", "nothing", "flag"), rows, total=("all", 3, "", "", "", ""))
    assert table.texts() == [
        ["a", "1,234,567", "0.50", "1.10", "–", "True"],
        ["b", "–", "1,234.25", "–", "–", "False"],
        ["all", "3", "", "", "", ""],
    ]
    assert table.numeric == (False, True, True, True, False, False)


def test_floats_show_at_most_four_decimals() -> None:
    assert Table("t", ("x",), ((0.123456,), (2.0,), (float("nan"),))).texts() == [["0.1235"], ["2.0000"], ["nan"]]


def test_records_of_different_keys_make_one_table() -> None:
    table = Table.of("t", [{"a": 1}, {"b": 2, "a": 3}], empty="none")
    assert (table.columns, table.rows) == (("a", "b"), ((1, None), (3, 2)))


def test_a_value_that_json_cannot_hold_still_leaves_a_readable_figure() -> None:
    chart = Chart("c", horizontal_bars(["a"], {"x": [float("nan")]}, {"x": "red"}, "rows"))
    page = html.document_fromstring(
        render_page("t", "s", [Section("One", "", charts=(chart,))]), parser=html.HTMLParser(huge_tree=True)
    )
    (figure,) = page.xpath("//script[@type='application/json']/text()")
    assert json.loads(figure)["data"][0]["x"] == [None]


def test_a_page_is_written_as_utf8_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "page.html"
    write_page(str(path), "<p>✓ Ä")
    assert path.read_bytes() == "<p>✓ Ä".encode()
