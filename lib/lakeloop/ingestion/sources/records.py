"""Records out of text: a line or element becomes named text fields, or a finding with its place and its bytes.

The parsers take a frame of `_text` and `_position` and give the declared fields as strings, beside `_original`,
`_rescued`, and the messages `_malformed` and `_missing`. Bytes that are not UTF-8 make a record malformed.
"""

from collections.abc import Sequence

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from lakeloop.ingestion.source_spec import CsvFormat
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED
from lakeloop.ingestion.sources.xml_documents import xml_records
from lakeloop.quality import Finding
from lakeloop.quality.rules import quoted

TEXT, MALFORMED, MISSING, CORRUPT = "_text", "_malformed", "_missing", "_corrupt"
MAX_CELLS = 20_000  # Spark's parser fails, and the job with it, on a line of more than 20,480


def form_findings() -> tuple[Finding, ...]:
    """The findings on the form of parsed records; they silence all others."""
    return (
        Finding("malformed", F.col(MALFORMED), blocking=True),
        Finding("field_missing", F.col(MISSING), blocking=True),
    )


def parse_csv(lines: DataFrame, header: Sequence[str], declared: Sequence[str], csv: CsvFormat) -> DataFrame:
    """Lines of files that share a header. Columns are matched by name; a line with more or fewer cells is malformed.

    A cell without characters is NULL. Columns that are not declared go to `_rescued`; a declared one that the header
    lacks makes every row `field_missing`.
    """
    has_quotes = F.contains(F.col(TEXT), F.lit(csv.quote))
    parsed = lines.withColumn("_cells", _cells(header, csv, has_quotes))
    begins = F.col(TEXT).rlike(rf"(^|\Q{csv.delimiter}\E)\Q{csv.quote}\E")
    message = F.when(has_quotes & begins & (_count_of(csv.quote) % 2 == 1), "a quote is not closed on the line").when(
        F.coalesce(F.size("_cells"), F.lit(-1)) != len(header),
        f"the line does not have the {len(header)} cells of the header",
    )
    absent = [name for name in declared if name not in header]
    extra = [name for name in header if name not in declared]
    given = {name: _unless_empty(F.get("_cells", F.lit(place))) for place, name in enumerate(header)}
    values = {name: given.get(name, F.lit(None).cast("string")) for name in declared}
    rescued = F.to_json(F.struct(*(given[name].alias(name) for name in extra))) if extra else None
    missing = F.lit(f"the header of the file lacks {', '.join(absent)}") if absent else F.lit(None).cast("string")
    return _finish(parsed, values, malformed=message, missing=missing, rescued=rescued)


def _cells(header: Sequence[str], csv: CsvFormat, has_quotes: Column) -> Column:
    """The cells of a line as an array, NULL where Spark's parser finds another number of them than the header has.

    A line without a quote is split, which takes a fifth of the parser's time.
    """
    special = "" if csv.delimiter.isalnum() or csv.delimiter in ",;\t " else "\\"
    split = F.split(F.col(TEXT), special + csv.delimiter, len(header) + 1)
    schema = ", ".join(f"{quoted(name)} STRING" for name in [*header, CORRUPT])
    options = {
        "sep": csv.delimiter,
        "quote": csv.quote,
        "escape": csv.quote,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": CORRUPT,
    }
    readable = F.when(has_quotes & (_count_of(csv.delimiter) < MAX_CELLS), F.col(TEXT))
    fields = F.from_csv(readable, schema, options)
    parsed = F.when(fields[CORRUPT].isNull(), F.array(*(fields[name] for name in header)))
    return F.when(has_quotes, parsed).otherwise(split)


def parse_json(lines: DataFrame, declared: Sequence[str]) -> DataFrame:
    """One JSON object per record. Numbers and nested values become their JSON text; an absent key is NULL.

    A number with a fraction or exponent is read as a double, so digits beyond the 17th go. Keys that are not declared
    go to `_rescued`.
    """
    # As the only element of an array: Spark reads an object and ignores what follows it.
    alone = F.from_json(F.concat(F.lit("["), TEXT, F.lit("]")), "array<map<string,string>>")
    ends = F.col(TEXT).rlike(r"\}\s*\z")
    parsed = lines.withColumn("_alone", alone).withColumn(
        "_fields", F.when(ends & (F.size("_alone") == 1), F.get("_alone", F.lit(0)))
    )
    undeclared = F.map_filter("_fields", lambda key, _: ~key.isin(list(declared)))
    rescued = F.when(F.size(undeclared) > 0, F.to_json(undeclared))
    values = {name: F.col("_fields")[name] for name in declared}
    malformed = F.when(F.col("_fields").isNull(), F.lit("the text is not one JSON object"))
    return _finish(parsed, values, malformed=malformed, missing=F.lit(None).cast("string"), rescued=rescued)


def parse_xml(files: DataFrame, row_tag: str, declared: Sequence[str]) -> DataFrame:
    """Whole documents (`path`, `content`). Each element `row_tag` is a record at its line, its children are fields.

    Where a document breaks, the records before the break are kept and the break is one malformed record. Entities are
    not expanded and nothing outside the document is loaded.
    """
    schema = "array<struct<line:bigint,record:string,error:string>>"

    @pandas_udf(schema)  # type: ignore[call-overload,untyped-decorator]
    def elements(content: pd.Series) -> pd.Series:
        return content.map(lambda document: list(xml_records(document, row_tag)))

    exploded = files.select(
        F.regexp_replace("path", "^file:/+", "/").alias("_origin"), F.explode(elements("content")).alias("_element")
    ).select(
        F.col("_element.record").alias(TEXT),
        F.struct(F.col("_origin").alias("origin"), F.col("_element.line").alias("record")).alias(POSITION),
        F.col("_element.error").alias("_broken"),
    )
    parsed = parse_json(exploded.where(F.col("_broken").isNull()), declared)
    broken = _finish(
        exploded.where(F.col("_broken").isNotNull()),
        {name: F.lit(None).cast("string") for name in declared},
        malformed=F.col("_broken"),
        missing=F.lit(None).cast("string"),
        rescued=None,
    )
    return parsed.unionByName(broken)


def _finish(
    parsed: DataFrame, values: dict[str, Column], *, malformed: Column, missing: Column, rescued: Column | None
) -> DataFrame:
    decoded = F.decode(F.col(TEXT).cast("binary"), "UTF-8")
    not_utf8 = F.when(decoded != F.col(TEXT), F.lit("the text is not valid UTF-8"))
    return parsed.select(
        *(value.alias(name) for name, value in values.items()),
        POSITION,
        decoded.alias(ORIGINAL),
        (F.lit(None).cast("string") if rescued is None else rescued).alias(RESCUED),
        F.coalesce(not_utf8, malformed).alias(MALFORMED),
        missing.alias(MISSING),
    )


def _unless_empty(cell: Column) -> Column:
    return F.when(cell != "", cell)


def _count_of(character: str) -> Column:
    return F.length(TEXT) - F.length(F.replace(F.col(TEXT), F.lit(character), F.lit("")))
