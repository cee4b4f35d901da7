"""XML documents into records. Runs on executors, a record at a time, so it imports nothing of Spark."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from lxml import etree

from lakeloop.ingestion.sources.files.json_documents import json_text
from lakeloop.ingestion.sources.files.text_records import Record

ATTRIBUTES = etree.XPath("@*")  # `attrib.items` looks for each value from the first attribute on
SHOWN = 10_000  # bytes of what stands at a break that are kept as its text


def xml_records(stream: BinaryIO, row_tag: str) -> Iterator[Record]:
    """The elements `row_tag` of one document, each at its line.

    Names are without their namespace. An attribute of the record is `@name`, children of one name are a list, and a
    child with markup of its own keeps it as text; comments go. Entities are not expanded, and nothing outside the
    document is loaded. Where the document breaks, the last record has the line, what stands there, and the parser's
    complaint. A document of other elements is one record with an error; an empty one is none.
    """
    tail = _Tail(stream)
    found = False
    try:
        parser = etree.iterparse(
            tail,
            events=("end",),
            tag=f"{{*}}{row_tag}",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        for _, element in parser:
            found = True
            original = etree.tostring(element, encoding="unicode", with_tail=False)
            yield Record(element.sourceline or 1, original, _fields(element), header=False)
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
        others = {} if found else {etree.QName(child).localname: None for child in parser.root.iterchildren("*")}
        if others:
            error = f"no element <{row_tag}> in the document, but <{'>, <'.join(list(others)[:5])}>; check row_tag"
            yield Record(1, tail.line(1), {}, error, header=False)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        yield Record(line, tail.line(line), {}, f"the XML breaks here: {error.msg}", header=False)


def _fields(element: etree._Element) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    repeated: dict[str, list[str | None]] = {}
    for name, value in _named(element):
        if name in found:
            repeated.setdefault(name, [found[name]]).append(value)
        else:
            found[name] = value
    return found | {name: json_text(values) for name, values in repeated.items()}


def _named(element: etree._Element) -> Iterator[tuple[str, str | None]]:
    if element.attrib:
        values: Any = ATTRIBUTES(element)
        for value in values:
            yield f"@{_local(value.attrname)}", str(value)
    for child in element:
        tag: Any = child.tag
        if isinstance(tag, str):  # what is left of an entity has none
            yield _local(tag), _text(child)


def _local(name: str) -> str:
    """A name without its namespace, as `etree.QName` has it at ten times the cost."""
    return name[name.rfind("}") + 1 :]


def _text(element: etree._Element) -> str | None:
    if len(element) == 0:
        return element.text
    return escape(element.text or "") + "".join(etree.tostring(part, encoding="unicode") for part in element)


class _Tail:
    """A stream that remembers the end of what was read, to show the line at which a document breaks."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.kept, self.lines_before = stream, b"", 0

    def read(self, size: int = -1) -> bytes:
        if len(self.kept) > 1 << 20:
            gone, self.kept = self.kept[: -(1 << 19)], self.kept[-(1 << 19) :]
            self.lines_before += gone.count(b"\n")
        data = self.stream.read(size)
        self.kept += data
        return data

    def line(self, number: int) -> str:
        """The text of a line that was read lately, from 1; nothing of one that is no longer there."""
        lines = self.kept.split(b"\n")
        place = number - 1 - self.lines_before
        return lines[place][:SHOWN].decode("utf-8", "replace") if 0 <= place < len(lines) else ""
