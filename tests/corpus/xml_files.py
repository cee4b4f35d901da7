"""XML: bombs, entities that reach out, depth, encodings that lie."""

from pathlib import Path

from tests.corpus.cases import Case, Surroundings

GOOD = "<c><a>1</a><b>x</b></c>"
BREAKS = "the XML breaks here"
BILLION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
HALF = 100_000


def reaching(template: str) -> object:
    """A writer of a document that asks for the canary and for the server."""

    def write(path: Path, around: Surroundings) -> None:
        path.write_text(template.format(file=around.canary.as_uri(), http=f"http://{around.address}"))

    return write


CASES = (
    Case(
        "billion.xml",
        "entities that expand to a billion",
        f'<!DOCTYPE r [<!ENTITY e0 "lol">{BILLION}]>\n<r><c><a>&e9;</a></c></r>',
        0,
        ((1, BREAKS),),
    ),
    Case(
        "quadratic.xml",
        "one long entity, 1,000 times",
        f'<!DOCTYPE r [<!ENTITY e "{"x" * HALF}">]>\n<r><c><a>{"&e;" * 1000}</a></c></r>',
        0,
        ((2, BREAKS),),
    ),
    Case(
        "entity_file.xml",
        "an external entity: a file",
        reaching('<!DOCTYPE r [<!ENTITY x SYSTEM "{file}">]>\n<r><c><a>&x;</a></c></r>'),
        {2: ("&x;", None)},
    ),
    Case(
        "entity_http.xml",
        "an external entity: a server",
        reaching('<!DOCTYPE r [<!ENTITY x SYSTEM "{http}/x">]>\n<r><c><a>&x;</a></c></r>'),
        {2: ("&x;", None)},
    ),
    Case(
        "entity_parameter.xml",
        "an external parameter entity",
        reaching('<!DOCTYPE r [<!ENTITY % x SYSTEM "{http}/x"> %x;]>\n<r>' + GOOD + "</r>"),
        {2: ("1", "x")},
    ),
    Case(
        "entity_attribute.xml",
        "an external entity in an attribute",
        reaching('<!DOCTYPE r [<!ENTITY x SYSTEM "{file}">]>\n<r><c a="&x;"/></r>'),
        0,
        ((2, BREAKS),),
    ),
    Case(
        "dtd.xml",
        "an external DTD",
        reaching('<!DOCTYPE r SYSTEM "{http}/r.dtd">\n<r>' + GOOD + "</r>"),
        {2: ("1", "x")},
    ),
    Case(
        "xinclude.xml",
        "an inclusion",
        reaching(
            '<r xmlns:xi="http://www.w3.org/2001/XInclude">'
            '<c><a>1</a><b><xi:include href="{file}" parse="text"/></b></c></r>'
        ),
        1,
    ),
    Case(
        "schema.xml",
        "a schema and a style sheet on a server",
        reaching(
            '<?xml-stylesheet href="{http}/s.xsl" type="text/xsl"?>\n'
            '<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xsi:noNamespaceSchemaLocation="{http}/s.xsd">' + GOOD + "</r>"
        ),
        {2: ("1", "x")},
    ),
    Case(
        "deep.xml", "100,000 elements in each other", f"<r>{GOOD}\n" + "<d>" * 100_000, {1: ("1", "x")}, ((2, BREAKS),)
    ),
    Case(
        "deep_record.xml",
        "a record 100,000 deep",
        f"<r>{GOOD}\n<c><a>" + "<d>" * 100_000 + "</d>" * 100_000 + "</a></c></r>",
        {1: ("1", "x")},
        ((2, BREAKS),),
    ),
    Case(
        "attributes.xml",
        "100,000 attributes",
        "<r><c " + " ".join(f'x{n}="1"' for n in range(100_000)) + f"><a>1</a></c>\n{GOOD}</r>",
        {1: ("1", None), 2: ("1", "x")},
    ),
    Case(
        "lies_utf8.xml",
        "Latin-1 that says it is UTF-8",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<r>{GOOD}\n<c><a>ü</a></c></r>'.encode("latin-1"),
        {2: ("1", "x")},
        ((3, BREAKS),),
    ),
    Case(
        "lies_utf16.xml",
        "UTF-8 that says it is UTF-16",
        f'<?xml version="1.0" encoding="UTF-16"?>\n<r>{GOOD}</r>',
        0,
        ((1, BREAKS),),
    ),
    Case(
        "unknown_encoding.xml",
        "an encoding that does not exist",
        f'<?xml version="1.0" encoding="x-none"?>\n<r>{GOOD}</r>',
        0,
        ((1, BREAKS),),
    ),
    Case(
        "latin1.xml",
        "Latin-1 that says so",
        '<?xml version="1.0" encoding="ISO-8859-1"?><r><c><a>ü</a></c></r>'.encode("latin-1"),
        {1: ("ü", None)},
    ),
    Case("cut.xml", "a document that was cut", f"<r>\n{GOOD}\n<c><a>2", {2: ("1", "x")}, ((3, BREAKS),)),
    Case("nul.xml", "a NUL byte", f"<r>\n{GOOD}\n<c><a>\0</a></c></r>", {2: ("1", "x")}, ((3, BREAKS),)),
    Case(
        "long_text.xml",
        "a text of 11 MB",
        lambda path: path.write_text(f"<r>\n{GOOD}\n<c><a>{'x' * 11_000_000}</a></c></r>"),
        {2: ("1", "x")},
        ((3, BREAKS),),
    ),
    Case("empty.xml", "no bytes", b""),
    Case("no_rows.xml", "a document without a record", "<r/>"),
    Case("others.xml", "a document of other records", "<r><d/></r>", 0, ((1, "no element <c> in the document"),)),
    Case("json.xml", "JSON by another name", '{"a": 1}', 0, ((1, BREAKS),)),
)
