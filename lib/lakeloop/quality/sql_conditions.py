"""SQL conditions on one row, and aggregates of all, as declarations hold them: read without Spark, for `validate`."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from lakeloop.quality.named_columns import Reads

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

LONGEST = 10_000  # characters

CHANGING = (
    *("rand", "random", "randn", "randstr", "uniform", "uuid", "shuffle", "monotonically_increasing_id"),
    *("spark_partition_id", "input_file_name", "input_file_block_start", "input_file_block_length"),
)
OUTSIDE = (
    *("reflect", "java_method", "try_reflect", "raise_error", "assert_true", "current_user", "session_user", "user"),
    *("current_catalog", "current_database", "current_schema", "version", "current_version", "read_files"),
    *("identifier", "http_request", "ai_query", "secret", "try_secret", "sql_keywords", "spark_conf"),
)
# What the reader of SQL takes for a function of one row, and Spark for one of many, or for one that makes rows.
OF_MANY = (
    *("every", "some", "any", "any_value", "std", "try_sum", "try_avg", "histogram_numeric", "count_min_sketch"),
    *("hll_sketch_agg", "hll_union_agg", "bitmap_construct_agg", "percentile_approx", "approx_percentile", "mean"),
    *("first_value", "last_value", "nth_value", "regr_r2", "regr_sxx", "regr_sxy", "regr_syy", "regr_slope"),
    *("regr_intercept", "regr_avgx", "regr_avgy", "schema_of_json_agg", "json_tuple", "inline_outer", "listagg"),
    *("explode_outer", "posexplode_outer", "variant_explode", "window", "session_window", "window_time", "string_agg"),
    *("ntile", "rank", "dense_rank", "percent_rank", "cume_dist", "row_number", "lead", "collect_set"),
)
REFUSED: Mapping[str, str] = MappingProxyType({
    **dict.fromkeys(CHANGING, "a condition says the same of a row every time"),
    **dict.fromkeys(OUTSIDE, "a condition looks at the row alone and changes nothing"),
    **dict.fromkeys(OF_MANY, "a condition looks at one row by itself"),
})  # fmt: skip


def columns_of(condition: str) -> tuple[str, ...]:
    """The columns that a condition looks at, sorted; of a column with parts the column."""
    from sqlglot import exp

    return tuple(sorted({column.parts[0].name for column in _parsed(condition).find_all(exp.Column)}))


def _about_one_row(text: str) -> str:
    from sqlglot import exp

    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"a condition is a text of at most {LONGEST} characters")
    _refuse_what_is_read_differently(text)
    condition = _parsed(text)
    for function in condition.find_all(exp.Func):
        names = [function.name] if isinstance(function, exp.Anonymous) else function.sql_names()
        for name in map(str.lower, names):
            if name in REFUSED:
                raise ValueError(f"{REFUSED[name]}, so `{name}` has no place in it")
    for each in condition.find_all(exp.Any):
        if not isinstance(each.parent, exp.Like | exp.ILike | exp.Escape):
            raise ValueError(f"{REFUSED['any']}, so `any` has no place in it")
    found = condition.find(exp.Query, exp.AggFunc, exp.Window, exp.Block, exp.UDTF, exp.Star)
    if found is not None:
        what = found.sql(dialect="spark")
        raise ValueError(f"a condition looks at one row by itself, so `{what}` has no place in it")
    if (open_value := condition.find(exp.Placeholder, exp.Parameter, exp.SessionParameter)) is not None:
        raise ValueError(f"nobody gives `{open_value.sql(dialect='spark')}` a value; write the value itself")
    return text


def _refuse_what_is_read_differently(text: str) -> None:
    """Refuse what Spark reads in another way than the reader here does: variables and comments."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    if "${" in text:
        raise ValueError("Spark would replace ${ in it; write the value itself")
    try:
        tokens = sqlglot.tokenize(text, dialect="spark")
    except SqlglotError as error:
        raise ValueError("not a condition in SQL: a text or a comment in it has no end") from error
    if any(token.token_type is sqlglot.TokenType.SEMICOLON for token in tokens):
        raise ValueError("a condition looks at one row by itself, in one expression; take the semicolon away")
    if any(token.comments for token in tokens) or (not tokens and text.strip()):
        raise ValueError("a condition has no comments; write them behind a # of YAML")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> "Expr":
    import sqlglot  # a quarter of a second that only who has conditions waits for
    from sqlglot.errors import ParseError, SqlglotError

    try:
        return sqlglot.condition(text, dialect="spark")
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        said = " ".join(str(first.get("description", error)).split("<")[0].split())
        near = f"{first.get('start_context', '')}{first.get('highlight', '')}"[-40:]
        raise ValueError(f"not a condition in SQL: {said} after `{near}`") from error
    except SqlglotError as error:
        raise ValueError("not a condition in SQL: a text or a comment in it has no end") from error
    except RecursionError as error:
        raise ValueError("the condition is nested too deeply to be read; take it apart") from error


Condition = Annotated[str, AfterValidator(_about_one_row), Reads(columns_of)]


def _about_all_rows(text: str) -> str:
    from sqlglot import exp

    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"an aggregate is a text of at most {LONGEST} characters")
    _refuse_what_is_read_differently(text)
    aggregate = _parsed(text)
    for function in aggregate.find_all(exp.Func):
        names = [function.name] if isinstance(function, exp.Anonymous) else function.sql_names()
        for name in map(str.lower, names):
            if name in CHANGING or name in OUTSIDE:
                raise ValueError(f"an aggregate says the same of the same rows every time, so `{name}` is out of place")
    if (found := aggregate.find(exp.Query, exp.Window, exp.Block, exp.UDTF)) is not None:
        raise ValueError(f"an aggregate is one number of the rows, so `{found.sql(dialect='spark')}` is out of place")
    is_of_many = any(str(each.name).lower() in OF_MANY for each in aggregate.find_all(exp.Anonymous))
    if aggregate.find(exp.AggFunc) is None and not is_of_many:
        raise ValueError("it looks at single rows; write an aggregate, as sum(paid) / sum(due)")
    return text


Aggregate = Annotated[str, AfterValidator(_about_all_rows), Reads(columns_of)]
