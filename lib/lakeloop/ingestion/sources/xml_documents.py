"""XML documents into records. Runs on executors, so it imports nothing of Spark."""

import json
from collections.abc import Iterator
from io import BytesIO
from xml.sax.saxutils import escape

from lxml import etree

SHOWN = 10_000  # bytes of a document without records that are kept as its text


def xml_records(document: bytes, row_tag: str) -> Iterator[dict[str, str | int | None]]:
    """The records of one document as `line`, `record` (JSON of the children's texts) and `error`.

    Names are without their namespace. An attribute of the record is `@name`, children of one name are a list, and a
    child with markup of its own keeps it as text; comments go. Where the document breaks, the last item has the line,
    what stands there, and the parser's complaint. A document of other elements is one item with an error; an empty one
    is none.
    """
    try:
        parser = etree.iterparse(
            BytesIO(document),
            events=("end",),
            tag=f"{{*}}{row_tag}",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        found = False
        for _, element in parser:
            found = True
            yield {"line": element.sourceline, "record": json.dumps(_fields(element)), "error": None}
            element.clear()
        others = {} if found else {etree.QName(child).localname: None for child in parser.root.iterchildren("*")}
        if others:
            error = f"no element <{row_tag}> in the document, but <{'>, <'.join(list(others)[:5])}>; check row_tag"
            yield {"line": 1, "record": document[:SHOWN].decode("utf-8", "replace"), "error": error}
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        text = document.splitlines()[line - 1 :][:1]
        original = text[0].decode("utf-8", "replace") if text else ""
        yield {"line": line, "record": original, "error": f"the XML breaks here: {error.msg}"}


def _fields(element: etree._Element) -> dict[str, str | list[str | None] | None]:
    found: dict[str, list[str | None]] = {}
    for name, value in element.attrib.items():
        found[f"@{etree.QName(name).localname}"] = [str(value)]
    for child in element.iterchildren("{*}*"):
        found.setdefault(etree.QName(child).localname, []).append(_text(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _text(element: etree._Element) -> str | None:
    if len(element) == 0:
        return element.text
    return escape(element.text or "") + "".join(etree.tostring(part, encoding="unicode") for part in element)
