"""JSON lines, which Spark parses, and JSON documents, which Python parses."""

from tests.corpus.cases import Case
from tests.corpus.packed_files import gz

NO_OBJECT = "the text is not one JSON object"
TWICE = "a key stands twice in the object"
BREAKS = "the JSON breaks here"
NOT_UTF8 = "the text is not valid UTF-8"
HALF = "the text holds half a surrogate pair"
DEEP = '{"a": ' + "[" * 100_000 + "]" * 100_000 + ', "b": "x"}'
DIGITS = "9" * 10_000
NUMBERS = ('{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": -1e-999}', '{"b": 1}')


def lines(*texts: str) -> str:
    """A file of lines."""
    return "".join(f"{text}\n" for text in texts)


LINES = (
    Case(
        "deep.jsonl",
        "100,000 arrays in each other",
        lines('{"a": 1}', DEEP, '{"a": 2}'),
        {1: ("1", None), 3: ("2", None)},
        ((2, NO_OBJECT),),
    ),
    Case(
        "deep_unclosed.jsonl",
        "100,000 objects that are never closed",
        lines('{"a":' * 100_000, '{"a": 2}'),
        {2: ("2", None)},
        ((1, NO_OBJECT),),
    ),
    Case(
        "numbers.jsonl",
        "NaN, infinities, and numbers that no double holds",
        lines(*NUMBERS),
        {5: ("-0.0", None), 6: (None, "1")},
        (*((n, NO_OBJECT) for n in range(1, 4)), (4, "too large for a double")),
    ),
    Case(
        "digits.jsonl",
        "an integer of 10,000 digits",
        lines(f'{{"a": {DIGITS}, "b": 1}}', '{"a": 2}'),
        {2: ("2", None)},
        ((1, NO_OBJECT),),
    ),
    Case(
        "surrogates.jsonl",
        "half a surrogate pair",
        lines(r'{"a": "\ud800", "b": "x"}', r'{"a": "\ud83d\ude00"}', r'{"\udc00": 1}'),
        {2: ("\U0001f600", None)},
        ((1, HALF), (3, HALF)),
    ),
    Case(
        "keys.jsonl",
        "a key twice, an empty key, keys that differ in case",
        lines('{"a": 1, "a": 2}', '{"": 1, "a": 2}', '{"A": 1, "a": 2}', '{"a": {"x": 1, "x": 2}}'),
        {2: ("2", None), 3: ("2", None), 4: ('{"x":1,"x":2}', None)},
        ((1, TWICE),),
    ),
    Case(
        "cases.jsonl",
        "keys whose case changes from line to line",
        lines('{"a": 1, "b": "x"}', '{"A": 2, "B": "y"}', '{"a": 3, "B": "z"}', '{"A": null, "b": "w"}'),
        {1: ("1", "x"), 2: ("2", "y"), 3: ("3", "z"), 4: (None, "w")},
    ),
    Case(
        "late_case.jsonl",
        "a key whose case changes far behind the lines that are looked at first",
        lines(*['{"a": 1, "b": "x"}'] * 100_000, '{"A": 2, "B": "y"}'),
        100_001,
    ),
    Case(
        "cases.jsonl.gz",
        "keys whose case changes from line to line, packed",
        gz(lines('{"a": 1, "b": "x"}', '{"A": 2, "B": "y"}', '{"a": 3, "B": "z"}')),
        {1: ("1", "x"), 2: ("2", "y"), 3: ("3", "z")},
    ),
    Case(
        "forms.jsonl",
        "two objects on a line, trailing commas, scalars, arrays",
        lines(
            "{}{}",
            '{"a": 1,}',
            '{"a": 1},',
            "12",
            '"x"',
            "null",
            "true",
            '[{"a": 1}]',
            "{'a': 1}",
            '{"a": 1} // x',
            "{a: 1}",
            "{}",
        ),
        {12: (None, None)},
        tuple((n, NO_OBJECT) for n in range(1, 12)),
    ),
    Case(
        "partial.jsonl",
        "blank lines, and a last line that was cut",
        '\n  \n{"a": 1}\n{"a": 2, "b',
        {3: ("1", None)},
        ((4, NO_OBJECT),),
    ),
    Case(
        "nul.jsonl",
        "NUL bytes, raw and escaped",
        b'{"a": "x\x00y"}\n\x00\n{"a": "\\u0000"}\n',
        {3: ("\x00", None)},
        ((1, NO_OBJECT), (2, NO_OBJECT)),
    ),
    Case(
        "latin1.jsonl",
        "Latin-1 where UTF-8 is declared",
        '{"a": "ü"}\n{"a": 1}\n'.encode("latin-1"),
        {2: ("1", None)},
        ((1, NOT_UTF8),),
    ),
    Case("bom.jsonl", "a byte order mark", b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n', {1: ("1", None), 2: ("2", None)}),
    Case(
        "utf16.jsonl",
        "UTF-16, with a line that is no JSON",
        '{"a": 1}\nno\n{"a": 2}{}\n{"a": 3}\n'.encode("utf-16"),
        {1: ("1", None), 4: ("3", None)},
        ((2, NO_OBJECT), (3, NO_OBJECT)),
    ),
    Case("empty.jsonl", "no bytes", b""),
    Case("named_parquet.jsonl", "Parquet by another name", b"PAR1\x15\x00", refused="begins like a .parquet"),
)
DOCUMENTS = (
    Case(
        "deep.json",
        "100,000 arrays in each other",
        f'[{{"a": 1}}, {DEEP}, {{"a": 2}}]',
        {1: ("1", None)},
        ((2, "it is nested too deeply"),),
    ),
    Case(
        "numbers.json",
        "NaN, infinities, and numbers that no double holds",
        f"[{', '.join(NUMBERS)}]",
        {4: ("1e999", None), 5: ("-1e-999", None), 6: (None, "1")},
        tuple((n, "no JSON has") for n in range(1, 4)),
    ),
    Case("digits.json", "an integer of 10,000 digits", f'[{{"a": {DIGITS}, "b": 1}}]', {1: (DIGITS, "1")}),
    Case(
        "surrogates.json",
        "half a surrogate pair",
        r'[{"a": "\ud800", "b": "x"}, {"a": "\ud83d\ude00"}, {"\udc00": 1}]',
        {2: ("\U0001f600", None)},
        ((1, HALF), (3, HALF)),
    ),
    Case(
        "keys.json",
        "a key twice",
        '[{"a": 1, "a": 2}, {"a": 3}, {"a": {"x": 1, "x": 2}}]',
        {2: ("3", None), 3: ('{"x":1,"x":2}', None)},
        ((1, TWICE),),
    ),
    Case("two.json", "objects that follow each other", '{"a": 1}{"a": 2}', {1: ("1", None), 2: ("2", None)}),
    Case("comma.json", "a comma after the last object", '[{"a": 1}, {"a": 2},]', {1: ("1", None), 2: ("2", None)}),
    Case("commas.json", "two commas", '[{"a": 1},, {"a": 2}]', {1: ("1", None)}, ((2, BREAKS),)),
    Case("scalar.json", "a number", "12", 0, ((1, NO_OBJECT),)),
    Case(
        "mixed.json",
        "an array of all sorts",
        '[1, null, {"a": 1}, [{"a": 2}], "x"]',
        {3: ("1", None)},
        tuple((n, NO_OBJECT) for n in (1, 2, 4, 5)),
    ),
    Case("cut.json", "an array that was cut", '[{"a": 1}, {"a": 2', {1: ("1", None)}, ((2, BREAKS),)),
    Case(
        "unclosed.json", "an array that is not closed", '[{"a": 1}', {1: ("1", None)}, ((2, "the array is not closed"),)
    ),
    Case("trailing.json", "text behind the end", '[{"a": 1}] x', {1: ("1", None)}, ((2, "text follows the end"),)),
    Case("nul.json", "NUL bytes", b'[{"a": "x\x00y"}, \x00]', {1: ("x\x00y", None)}, ((2, BREAKS),)),
    Case(
        "latin1.json",
        "Latin-1 where UTF-8 is declared",
        '[{"a": "ü"}, {"a": 1}]'.encode("latin-1"),
        {2: ("1", None)},
        ((1, "not valid in its encoding"),),
    ),
    Case("empty.json", "no bytes", b""),
    Case("blank.json", "blanks alone", b" \n"),
)
CASES = (*LINES, *DOCUMENTS)
