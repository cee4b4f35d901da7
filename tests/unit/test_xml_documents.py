"""XML documents: which records come out, at which line, and what an evil or broken document can do."""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lakeloop.ingestion.sources.files.xml_documents import xml_records


def parsed(document: str | bytes) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any, Any]]]:
    """(line, fields) of the records and (line, text, error) of the breaks."""
    content = document.encode() if isinstance(document, str) else document
    found = list(xml_records(BytesIO(content), "c"))
    records = [(record.place, record.values) for record in found if record.error is None]
    return records, [(record.place, record.original, record.error) for record in found if record.error is not None]


def fields(document: str | bytes) -> list[Any]:
    records, breaks = parsed(document)
    assert breaks == []
    return [values for _, values in records]


def test_records_with_their_lines() -> None:
    document = "<?xml version='1.0'?>\n<all>\n  <c><a>1</a><b>x</b></c>\n\n  <c>\n    <a>2</a>\n  </c>\n</all>\n"
    assert parsed(document) == ([(3, {"a": "1", "b": "x"}), (5, {"a": "2"})], [])


def test_lines_beyond_what_sixteen_bits_hold() -> None:
    document = "<all>\n" + "<x/>\n" * 70_000 + "<c><a>1</a></c>\n</all>"
    assert parsed(document)[0] == [(70_002, {"a": "1"})]


def test_an_empty_element_is_null_and_predefined_entities_are_text() -> None:
    assert fields("<all><c><a/><b></b><d>1 &lt; 2 &amp; &#228;</d><e><![CDATA[<raw>]]></e></c></all>") == [
        {"a": None, "b": None, "d": "1 < 2 & ä", "e": "<raw>"}
    ]


def test_a_document_says_its_encoding() -> None:
    assert fields('<?xml version="1.0" encoding="ISO-8859-1"?><all><c><a>Müller</a></c></all>'.encode("latin-1")) == [
        {"a": "Müller"}
    ]
    assert fields("\ufeff<all><c><a>ß</a></c></all>".encode()) == [{"a": "ß"}]


def test_comments_and_instructions_are_no_part_of_a_value() -> None:
    document = "<all><!-- <c><a>0</a></c> --><c><!-- first --><a>1<!-- not -->2<?pi x?>3</a><?pi y?></c></all>"
    assert fields(document) == [{"a": "123"}]


def test_nothing_inside_a_record_is_lost() -> None:
    document = '<all><c id="7"><a>1</a><a>2</a><d>x<e f="g">y</e>z</d></c></all>'
    assert fields(document) == [{"@id": "7", "a": '["1","2"]', "d": 'x<e f="g">y</e>z'}]


def test_namespaces_are_left_out_of_names() -> None:
    document = '<n:all xmlns:n="urn:n" xmlns="urn:d"><n:c><n:a>1</n:a></n:c><c><a>2</a></c></n:all>'
    assert fields(document) == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize(
    ("document", "line", "text"),
    [
        ("<all>\n<c><a>1</a></c>\n<c><a>x & y</a></c>\n<c><a>3</a></c>\n</all>", 3, "<c><a>x & y</a></c>"),
        ("<all>\n<c><a>1</a></c>\n<c><a>2</b></c>\n</all>", 3, "<c><a>2</b></c>"),
        ("<all>\n<c><a>1</a></c>\n<c><a>cut", 3, "<c><a>cut"),
        (b"<all>\n<c><a>1</a></c>\n<c><a>\xff\xfe</a></c>\n</all>", 3, "<c><a>\ufffd\ufffd</a></c>"),
    ],
)
def test_where_a_document_breaks_the_records_before_it_are_kept(document: str | bytes, line: int, text: str) -> None:
    records, breaks = parsed(document)
    assert records == [(2, {"a": "1"})]
    assert [(at, original) for at, original, _ in breaks] == [(line, text)]
    assert breaks[0][2].startswith("the XML breaks here: ")


def test_a_document_of_other_elements_is_named_and_an_empty_one_is_no_mistake() -> None:
    (only,) = xml_records(BytesIO(b"<all><x><c2/></x><y/><x/></all>"), "c")
    assert (only.place, only.original) == (1, "<all><x><c2/></x><y/><x/></all>")
    assert only.error == "no element <c> in the document, but <x>, <y>; check row_tag"
    assert list(xml_records(BytesIO(b"<all>\n</all>"), "c")) == []


def test_many_records_before_a_late_break() -> None:
    records, breaks = parsed("<all>\n" + "<c><a>1</a></c>\n" * 5_000 + "<c>")
    assert len(records) == 5_000
    assert [line for line, _, _ in breaks] == [5_002]


@pytest.mark.parametrize("document", [b"", b"   \n", b"not xml", b"\x1f\x8b\x08\x00", b"{}"])
def test_what_is_no_xml_is_one_break_on_the_first_lines(document: bytes) -> None:
    records, breaks = parsed(document)
    assert records == []
    assert [line in (1, 2) for line, _, _ in breaks] == [True]


def test_an_entity_bomb_is_not_expanded() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    document = f'<!DOCTYPE all [<!ENTITY e0 "lollollol">{levels}]><all><c><a>&e9;</a></c><c><a>2</a></c></all>'
    started = time.monotonic()
    found = list(xml_records(BytesIO(document.encode()), "c"))
    assert time.monotonic() - started < 2
    assert sum(len(record.original) for record in found) < 1_000


def test_an_external_entity_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    document = f'<!DOCTYPE all [<!ENTITY x SYSTEM "{secret.as_uri()}">]><all><c><a>a&x;b</a></c></all>'
    found = list(xml_records(BytesIO(document.encode()), "c"))
    assert found
    assert "SECRET" not in str(found)
    # What was not expanded is shown, not left out in silence.
    assert found[0].values == {"a": "a&x;b"}


def test_an_external_dtd_is_not_loaded(tmp_path: Path) -> None:
    dtd = tmp_path / "all.dtd"
    dtd.write_text('<!ENTITY x "TOP SECRET">')
    document = f'<!DOCTYPE all SYSTEM "{dtd.as_uri()}"><all><c><a>1</a></c></all>'
    assert fields(document) == [{"a": "1"}]
