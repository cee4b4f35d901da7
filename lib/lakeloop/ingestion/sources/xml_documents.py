"""XML documents into records. Runs on executors, so it imports nothing of Spark."""

import json
from collections.abc import Iterator
from io import BytesIO

from lxml import etree


def xml_records(document: bytes, row_tag: str) -> Iterator[dict[str, str | int | None]]:
    """The records of one document as `line`, `record` (JSON of the children's texts) and `error`.

    Where the document breaks, the last item has the line, what stands there, and the parser's complaint.
    """
    try:
        parser = etree.iterparse(
            BytesIO(document), events=("end",), tag=row_tag, resolve_entities=False, no_network=True, load_dtd=False
        )
        for _, element in parser:
            fields = {str(child.tag): child.text for child in element if isinstance(child.tag, str)}
            yield {"line": element.sourceline, "record": json.dumps(fields), "error": None}
            element.clear()
    except etree.XMLSyntaxError as error:
        text = document.splitlines()[(error.lineno or 1) - 1 :][:1]
        original = text[0].decode("utf-8", "replace") if text else ""
        yield {"line": error.lineno, "record": original, "error": f"the XML breaks here: {error.msg}"}
