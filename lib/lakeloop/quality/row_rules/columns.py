"""What all row rules are made of: columns by their exact names, their texts, and the message of a violation."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError

SHOWN = 200  # characters of a value that a message shows


def quoted(column: str) -> str:
    """A column name as one SQL identifier, whatever characters it has."""
    return "`" + column.replace("`", "``") + "`"


def value_of(column: str) -> Column:
    """The column of exactly this name: dots and backticks in it are part of the name."""
    return F.col(quoted(column))


def text_of(column: str) -> Column:
    """The value as the text that Spark writes for it."""
    return value_of(column).cast("string")


def try_cast(column: str, sql_type: str, *, by_text: bool = False) -> Column:
    """The value as another type, NULL where it has none. `by_text` goes by its text, which any type has.

    Raises TableError as `in_sql` does.
    """
    name = in_sql(column)
    return F.expr(f"try_cast({f'CAST({name} AS string)' if by_text else name} AS {sql_type})")


def in_sql(column: str) -> str:
    """A column name as SQL text that is parsed has it.

    Raises TableError for a name with `${` in it: Spark would put the value of a variable there.
    """
    if "${" in column:
        raise TableError(f"the column '{column}' has ${{ in its name, which Spark replaces in SQL; rename it first")
    return quoted(column)


def is_of_type(column: str, *types: str) -> Column:
    """Whether the column is of one of these types; known before any row is read, so it costs nothing per row."""
    return F.typeof(value_of(column)).isin(*types)


def is_nan(column: str) -> Column:
    """Whether a value is NaN; false for every type that has none, where `isnan` would not compile."""
    # The hash of eight bytes is one to one and takes any type, so that no column has to be cast.
    hashed = F.xxhash64(value_of(column))
    of_double = is_of_type(column, "double") & (hashed == F.xxhash64(F.lit(float("nan"))))
    return of_double | (is_of_type(column, "float") & (hashed == F.xxhash64(F.lit(float("nan")).cast("float"))))


def is_like(text: Column, pattern: str) -> Column:
    r"""Whether a text matches a Java regular expression as a whole. A final line break is part of the text.

    `$` would pass over it, and `\z` does not.
    """
    return text.rlike(rf"\A(?:{pattern})\z")


def shown(column: str) -> Column:
    """The value as a message shows it."""
    return F.coalesce(F.substring(text_of(column), 1, SHOWN), F.lit("NULL"))


def violated_when(condition: Column, column: str, expected: str) -> Column:
    """The message `<column>: found <value>, expected <expected>` where `condition` is true, else NULL."""
    return F.when(condition, F.concat(F.lit(f"{column}: found "), shown(column), F.lit(f", expected {expected}")))


def all_violated_when(condition: Column, columns: Iterable[str], expected: str) -> Column:
    """The message `<columns>: found <values>, expected <expected>` where `condition` is true, else NULL."""
    names = list(dict.fromkeys(columns))
    values = F.concat_ws(", ", *map(shown, names))
    return F.when(condition, F.concat(F.lit(f"{', '.join(names)}: found "), values, F.lit(f", expected {expected}")))
