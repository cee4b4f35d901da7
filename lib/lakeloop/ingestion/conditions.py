"""SQL conditions on one row, as declarations hold them: read without Spark, so that `validate` tells a slip."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from sqlglot.expressions import Expr


def condition_columns(text: str) -> tuple[str, ...]:
    """The columns that a condition looks at, sorted; of a column with parts the column."""
    from sqlglot import exp

    return tuple(sorted({column.parts[0].name for column in _parsed(text).find_all(exp.Column)}))


def _about_one_row(text: str) -> str:
    from sqlglot import exp

    found = _parsed(text).find(exp.Query, exp.AggFunc, exp.Window, exp.Block)
    if found is not None:
        what = found.sql(dialect="spark")
        raise ValueError(f"a condition looks at one row by itself, so `{what}` has no place in it")
    return text


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


Condition = Annotated[str, AfterValidator(_about_one_row)]
