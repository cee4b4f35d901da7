"""Lines into records, in Spark's own expressions: named text fields, or a finding with its place and its bytes.

The parsers take a frame of `_text` and `_position` and give the declared fields as strings, beside `_original`,
`_rescued`, the message `_malformed`, and `_missing`: the absent fields, parted by commas. Bytes that are not UTF-8 make
a record malformed.
"""

import operator
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.files import CsvFormat
from lakeloop.ingestion.sources.headers import CORRUPT, match_names
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import quoted

TEXT, MALFORMED, MISSING = "_text", "_malformed", "_missing"
UTF_8_ERROR = "the text is not valid UTF-8"
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}  # as the parser for documents reads
# An escaped half of a surrogate pair without its other half; `\\\\` before it would be a backslash and plain letters.
BEGINS = r"(?<!\\)(?:\\\\)*+\\u[dD]"
HALF_A_PAIR = (
    rf"{BEGINS}[89abAB][0-9a-fA-F]{{2}}(?!\\u[dD][c-fC-F])"
    rf"|(?<!\\u[dD][89abAB][0-9a-fA-F]{{2}}){BEGINS}[c-fC-F]"
)
MAX_CELLS = 20_000  # Spark's parser fails, and the job with it, on a line of more than 20,480


def form_findings() -> tuple[Finding, ...]:
    """The findings on the form of parsed records; they silence all others."""
    return (Finding("malformed", F.col(MALFORMED), blocking=True),)


def parse_csv(
    lines: DataFrame,
    header: Sequence[str],
    declared: Sequence[str],
    csv: CsvFormat,
    aliases: Mapping[str, Sequence[str]] | None = None,
    *,
    quotes: bool = True,
    is_utf8: bool = False,
) -> DataFrame:
    """Lines of files that share a header. Columns are matched by name; a line with more or fewer cells is malformed.

    A cell without characters is NULL. Columns that are not declared go to `_rescued`. Without `quotes`
    no line has one, and with `is_utf8` none has bytes that are not UTF-8, so that none is looked through for them.
    """
    has_quotes = F.contains(F.col(TEXT), F.lit(csv.quote))
    split = _split(header, csv)
    parsed = lines.withColumn("_cells", F.when(has_quotes, _cells(header, csv)).otherwise(split) if quotes else split)
    begins = F.col(TEXT).rlike(rf"(^|\Q{csv.delimiter}\E)\Q{csv.quote}\E")
    is_torn = has_quotes & begins & (_count_of(csv.quote) % 2 == 1) if quotes else F.lit(False)
    message = F.when(is_torn, "a quote is not closed on the line").when(
        F.coalesce(F.size("_cells"), F.lit(-1)) != len(header),
        f"the line does not have the {len(header)} cells of the header",
    )
    names = match_names(header, declared, aliases)
    absent = [name for name in declared if name not in names]
    extra = [name for name in header if name not in names.values()]
    given = {name: _unless_empty(F.get("_cells", F.lit(place))) for place, name in enumerate(header)}
    values = {name: given[names[name]] if name in names else F.lit(None).cast("string") for name in declared}
    rescued = F.to_json(F.struct(*(given[name].alias(name) for name in extra))) if extra else None
    missing = F.lit(",".join(absent)) if absent else F.lit(None).cast("string")
    return _finish(parsed, values, malformed=message, missing=missing, rescued=rescued, is_utf8=is_utf8)


def _split(header: Sequence[str], csv: CsvFormat) -> Column:
    """The cells of a line without a quote, at a fifth of the parser's time."""
    special = "" if csv.delimiter.isalnum() or csv.delimiter in ",;\t " else "\\"
    return F.split(F.col(TEXT), special + csv.delimiter, len(header) + 1)


def _cells(header: Sequence[str], csv: CsvFormat) -> Column:
    """The cells of a line with quotes, NULL where Spark's parser finds another number of them than the header has."""
    schema = ", ".join(f"{quoted(name)} STRING" for name in [*header, CORRUPT])
    options = {
        "sep": csv.delimiter,
        "quote": csv.quote,
        "escape": csv.quote,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": CORRUPT,
    }
    readable = F.when(_count_of(csv.delimiter) < MAX_CELLS, F.col(TEXT))
    fields = F.from_csv(readable, schema, options)
    return F.when(readable.isNotNull() & fields[CORRUPT].isNull(), F.array(*(fields[name] for name in header)))


def parse_json(
    lines: DataFrame,
    declared: Sequence[str],
    aliases: Mapping[str, Sequence[str]] | None = None,
    lacks: Sequence[str] = (),
    *,
    is_utf8: bool = False,
    keep: Sequence[str] = (),
    text: Column | None = None,
    rescues_late: bool = False,
) -> DataFrame:
    """One JSON object per record. Numbers and nested values become their JSON text; an absent key is NULL.

    A key of `aliases` gives the value of a field that the object has not; `lacks` are the fields that records without
    a value are said to lack. `is_utf8` as in `parse_csv`. The columns `keep` of the lines stay. `text` gives `_text`
    where the lines lack it. With `rescues_late`, `_rescued` is what `rescued_as_json` takes.

    A number with a fraction or exponent is read as a double, so digits beyond the 17th go; one that no double holds, or
    that has more than 1,000 digits, makes the record malformed, as do NaN and Infinity, which JSON lacks. Keys that are
    not declared go to `_rescued`.
    """
    text = F.col(TEXT) if text is None else text
    # As the only element of an array: Spark reads an object and ignores what follows it.
    within = F.when(_ends_as_object(text), F.concat(F.lit("["), text, F.lit("]")))
    alone = F.from_json(within, "array<map<string,string>>", STRICT)
    # Not a condition with a value, of which Spark would not see that it can parse once for both.
    whole = F.get(alone, F.when(F.size(alone) == 1, F.lit(0)))
    keys = F.map_keys(whole)
    known = F.array(*(F.lit(name) for name in declared))
    # An alias counts only in an object that lacks the field, else it is a key of its own.
    alias_of = []
    for name in declared:
        earlier = [name]
        for alias in (aliases or {}).get(name, ()):
            if alias not in declared:
                has_none = ~F.arrays_overlap(keys, F.array(*map(F.lit, earlier)))
                alias_of.append((alias, has_none, name))
                earlier.append(alias)
    used = F.array(*(F.when(lacking, F.lit(alias)) for alias, lacking, _ in alias_of), F.lit(None).cast("string"))
    expected = F.concat(known, F.array_compact(used)) if alias_of else known
    # Most objects have the declared keys and no others; only the rest is looked at key by key.
    others = F.when(keys != known, F.array_except(keys, expected))
    found = F.struct(whole.alias("values"), others.alias("names"))
    values = {name: F.try_element_at(whole, F.lit(name)) for name in declared}
    for alias, lacking, name in alias_of:
        values[name] = F.coalesce(values[name], F.when(lacking, F.try_element_at(whole, F.lit(alias))))
    malformed = F.when(whole.isNull(), F.lit("the text is not one JSON object")).when(
        (keys != known) & (F.size(F.array_distinct(keys)) < F.size(keys)), F.lit("a key stands twice in the object")
    )
    # One projection, in which Spark parses once: as a column of its own the parsed object would be written into a row.
    parsed = lines.withColumns({
        TEXT: text,
        **{f"_field_{place}": value for place, value in enumerate(values.values())},
        "_found": F.when(F.size(others) > 0, found),
        "_defect": malformed,
    })  # fmt: skip
    rescued = F.col("_found") if rescues_late else rescued_as_json(F.col("_found"))
    fields = {name: F.col(f"_field_{place}") for place, name in enumerate(values)}
    absent = F.concat_ws(",", *(F.when(fields[name].isNull(), F.lit(name)) for name in lacks))
    # Spark writes a number so that no double holds, and half a surrogate pair as a question mark.
    infinite = reduce(operator.or_, (F.contains(field, F.lit("Infinity")) for field in fields.values()), F.lit(False))
    overflows = infinite & ~F.contains(TEXT, F.lit("Infinity"))
    halves = F.contains(TEXT, F.lit("\\u")) & F.col(TEXT).rlike(HALF_A_PAIR)
    missing = F.when(absent != "", absent) if lacks else F.lit(None).cast("string")
    malformed = F.when(halves, F.lit("the text holds half a surrogate pair, which is no character")).otherwise(
        F.coalesce("_defect", F.when(overflows, F.lit("a number is too large for a double")))
    )
    return _finish(parsed, fields, malformed=malformed, missing=missing, rescued=rescued, is_utf8=is_utf8, keep=keep)


def rescued_as_json(rescued: Column) -> Column:
    """The JSON of those `values` whose keys are among `names`.

    Spark does not compile this, nor what stands in one projection with it: it is left to the last one where it can be.
    """
    return F.to_json(F.map_filter(rescued["values"], lambda key, _: F.array_contains(rescued["names"], key)))


def decoded(text: Column) -> Column:
    """A text as UTF-8; bytes that are none are replaced, so that it is equal to itself only where there are none."""
    return F.decode(text.cast("binary"), "UTF-8")


def _ends_as_object(text: Column) -> Column:
    """Whether a brace is the last character, but for JSON's white space, which is rare and so looked for last."""
    brace = F.lit("}")
    return F.endswith(text, brace) | F.endswith(F.regexp_replace(text, r"[ \t\r\n]+\z", ""), brace)


def _finish(
    parsed: DataFrame,
    values: dict[str, Column],
    *,
    malformed: Column,
    missing: Column,
    rescued: Column | None,
    is_utf8: bool,
    keep: Sequence[str] = (),
) -> DataFrame:
    text = F.col(TEXT)
    not_utf8 = F.when(decoded(text) != text, F.lit(UTF_8_ERROR))
    return parsed.select(
        *(value.alias(name) for name, value in values.items()),
        POSITION,
        (text if is_utf8 else decoded(text)).alias(ORIGINAL),
        (F.lit(None).cast("string") if rescued is None else rescued).alias(RESCUED),
        (malformed if is_utf8 else F.coalesce(not_utf8, malformed)).alias(MALFORMED),
        missing.alias(MISSING),
        *keep,
    )


def _unless_empty(cell: Column) -> Column:
    return F.when(cell != "", cell)


def _count_of(character: str) -> Column:
    return F.length(TEXT) - F.length(F.replace(F.col(TEXT), F.lit(character), F.lit("")))
