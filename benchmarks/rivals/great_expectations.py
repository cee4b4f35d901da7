"""Great Expectations 1: a suite over a Spark data frame; a job or more for each expectation."""

from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from pyspark.sql import DataFrame, SparkSession

from benchmarks.quality_checks import (
    ADDS_UP,
    EARLIER,
    FRESH,
    KEYS,
    LATER,
    LEAST_ROWS,
    NOT_NULL,
    PATTERNS,
    RANGES,
    SETS,
    whole,
)  # fmt: skip
from benchmarks.quality_process import Tables

SETTINGS = {"spark.sql.ansi.enabled": "false"}  # its own casts of numbers to text fail otherwise


def aggregates(spark: SparkSession, tables: Tables) -> dict[str, Any]:
    """20 of the 21 checks: it has no foreign key to another data frame."""
    expectations = [
        *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in NOT_NULL),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=column, min_value=least, max_value=most)
            for column, (least, most) in RANGES.items()
        ),
        *(
            gxe.ExpectColumnValuesToMatchRegex(column=column, regex=whole(text)) for column, text in PATTERNS.items()
        ),
        *(gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values)) for column, values in SETS.items()),
        gxe.ExpectColumnValuesToBeUnique(column=KEYS[0][0]),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=list(KEYS[1])),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A=LATER, column_B=EARLIER, or_equal=True),
        _condition(f"not ({ADDS_UP})"),
        _condition(f"{FRESH} < current_timestamp() - interval 3650 days"),
        gxe.ExpectTableRowCountToBeBetween(min_value=LEAST_ROWS),
    ]  # fmt: skip
    return {"results": len(_validated(tables.read(spark), expectations, "BOOLEAN_ONLY"))}


def verdicts(spark: SparkSession, rows: DataFrame, countries: DataFrame) -> dict[str, Any]:
    """The planted rows that each expectation calls unexpected."""
    found: dict[str, Any] = {"reference": "no such rule", "not_nan": "no such rule", "not_blank": "no such rule"}
    rules = {
        "not_null": gxe.ExpectColumnValuesToNotBeNull(column="code"),
        "not_empty": gxe.ExpectColumnValueLengthsToBeBetween(column="code", min_value=1),
        "in_set": gxe.ExpectColumnValuesToBeInSet(column="code", value_set=["A", "B", "C"]),
        "length": gxe.ExpectColumnValueLengthsToBeBetween(column="note", max_value=5),
        "range": gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=100),
        "pattern": gxe.ExpectColumnValuesToMatchRegex(column="email", regex=whole(PATTERNS["email"])),
        "pattern, ^ and $": gxe.ExpectColumnValuesToMatchRegex(column="email", regex=f"^{PATTERNS['email']}$"),
        "unique": gxe.ExpectColumnValuesToBeUnique(column="key"),
        "unique_pair": gxe.ExpectCompoundColumnsToBeUnique(column_list=["part_a", "part_b"]),
        "in_order": gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="high", column_B="low", or_equal=True),
        "timestamp": gxe.ExpectColumnValuesToBeDateutilParseable(column="at"),
        "in_2025": gxe.ExpectColumnValuesToBeBetween(column="at", min_value="2025-01-01", max_value="2026-01-01"),
    }
    asked = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    for name, rule in rules.items():
        result = _validated(rows, [rule], asked)[0]
        if result.exception_info.get("raised_exception") or "unexpected_index_list" not in result.result:
            said = result.exception_info.get("exception_message") or str(result.exception_info)
            found[name] = said.strip().splitlines()[0][:120]
        else:
            found[name] = [entry["row"] for entry in result.result["unexpected_index_list"]]
    return found


def _condition(condition: str) -> Any:
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=f"SELECT * FROM {{batch}} WHERE {condition}")


def _validated(frame: DataFrame, expectations: list[Any], result_format: Any) -> list[Any]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("lines")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="lines", expectations=expectations)
    return list(batch.validate(suite, result_format=result_format).results)
