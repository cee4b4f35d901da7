"""Expressions of Spark's SQL over the scalar columns of a row: of many rows by Arrow, of one as a line of Python.

NULL goes through every function but `coalesce`, `least`, `greatest` and CASE; NaN is equal to NaN and greater than all
numbers, as Spark has it; what divides by 0 or takes the logarithm of no positive number is NULL.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.scoring.columns import Columns
from lakeloop.scoring.kinds import arrow_type, text_of
from lakeloop.scoring.row_code import RowCode, Scalar

Tree = Any  # as in the archive: ["column", name], ["literal", value, kind], ["call", name, …], ["cast", kind, …], …


@dataclass(frozen=True)
class Function:
    """A function of NULL-free arguments: of arrays, and as Python; `kind` None: that of the first argument."""

    of_arrays: Callable[..., Any]
    of_row: str
    kind: str | None = "double"
    can_be_null: bool = False


def _double(array: Any) -> Any:
    return pc.cast(array, pa.float64(), safe=False)  # a long may have more digits


def _is_less(a: Any, b: Any) -> Any:
    a, b = _double(a), _double(b)
    return pc.or_(pc.less(a, b), pc.and_not(pc.is_nan(b), pc.is_nan(a)))


def _is_equal(a: Any, b: Any) -> Any:
    if pa.types.is_string(a.type):
        return pc.equal(a, b)
    a, b = _double(a), _double(b)
    return pc.or_(pc.equal(a, b), pc.and_(pc.is_nan(a), pc.is_nan(b)))


def _divided(a: Any, b: Any) -> Any:
    a, b = _double(a), _double(b)
    return pc.divide(a, pc.if_else(pc.equal(b, 0.0), pa.scalar(None, pa.float64()), b))


def _logarithm(a: Any) -> Any:
    a = _double(a)
    return pc.ln(pc.if_else(pc.less_equal(a, 0.0), pa.scalar(None, pa.float64()), a))


def _days_between(until: Any, since: Any) -> Any:
    return pc.days_between(pc.cast(since, pa.date32()), pc.cast(until, pa.date32()))


FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(pc.abs, "abs({0})", None),
    "negative": Function(pc.negate, "-{0}", None),
    "add": Function(pc.add, "{0} + {1}", None),
    "subtract": Function(pc.subtract, "{0} - {1}", None),
    "multiply": Function(pc.multiply, "{0} * {1}", None),
    "divide": Function(_divided, "({0} / {1} if {1} else None)", "double", can_be_null=True),
    "sin": Function(pc.sin, "sin({0})"),
    "cos": Function(pc.cos, "cos({0})"),
    "exp": Function(pc.exp, "exp({0})"),
    "ln": Function(_logarithm, "(None if {0} <= 0 else log({0}))", "double", can_be_null=True),
    "less": Function(_is_less, "({0} < {1} or ({1} != {1} and {0} == {0}))", "boolean"),
    "equal": Function(_is_equal, "({0} == {1} or ({0} != {0} and {1} != {1}))", "boolean"),
    "not": Function(pc.invert, "(not {0})", "boolean"),
    "year": Function(pc.year, "{0}.year", "int"),
    "month": Function(pc.month, "{0}.month", "int"),
    "weekday": Function(pc.day_of_week, "{0}.weekday()", "int"),
    "hour": Function(pc.hour, "{0}.hour", "int"),
    "datediff": Function(_days_between, "({0} - {1}).days", "int"),
}
# Functions that look at NULL: of arrays, and as Python.
SKIPPING: Mapping[str, Callable[..., Any]] = {
    "coalesce": pc.coalesce,
    "least": pc.min_element_wise,
    "greatest": pc.max_element_wise,
    "nullif": lambda a, b: pc.if_else(
        pc.fill_null(_is_equal(a, b), False),
        pa.scalar(None, a.type),
        a,
    ),
    "is_null": pc.is_null,
}


def of_rows(tree: Tree, columns: Columns) -> Any:
    """The column of an expression."""
    what, *rest = tree
    if what == "column":
        column = columns[rest[0]]
        return column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, pa.float64())
    if what == "literal":
        return pa.repeat(pa.scalar(_value(*rest), arrow_type(rest[1])), columns.rows)
    if what == "cast":
        return _cast(of_rows(rest[1], columns), rest[0])
    if what == "lookup":
        index = _double(of_rows(rest[1], columns)).to_numpy(zero_copy_only=False)
        return pa.array(rest[0], pa.float64()).take(pa.array(index.astype("int64")))
    if what == "case":
        pairs, otherwise = rest
        result = of_rows(otherwise, columns)
        for condition, value in reversed(pairs):
            holds = pc.fill_null(of_rows(condition, columns), False)
            result = pc.if_else(holds, *_alike(of_rows(value, columns), result))
        return result
    name, *arguments = rest
    arrays = [of_rows(argument, columns) for argument in arguments]
    return SKIPPING[name](*arrays) if name in SKIPPING else FUNCTIONS[name].of_arrays(*_numbers(name, arrays))


def columns_of(tree: Tree) -> set[str]:
    """The columns that an expression looks at."""
    what, *rest = tree
    if what in ("column", "literal"):
        return {rest[0]} if what == "column" else set()
    if what == "case":
        pairs, otherwise = rest
        return columns_of(otherwise).union(*(columns_of(each) for pair in pairs for each in pair))
    return set[str]().union(*(columns_of(each) for each in rest[1:]))


def of_row(tree: Tree, code: RowCode) -> Scalar:
    """The variable that holds the expression for one row."""
    what, *rest = tree
    if what == "column":
        return code.scalar(rest[0])
    if what == "literal":
        return _literal(_value(*rest), rest[1], code)
    if what == "cast":
        return _cast_row(of_row(rest[1], code), rest[0], code)
    if what == "lookup":
        index = of_row(rest[1], code)
        return code.assign(f"{code.constant(tuple(rest[0]))}[int({index.text})]")
    if what == "case":
        return _case(rest[0], rest[1], code)
    name, *arguments = rest
    scalars = [of_row(argument, code) for argument in arguments]
    if name in SKIPPING:
        return _skipping(name, scalars, code)
    function = FUNCTIONS[name]
    said = function.of_row.format(*(scalar.text for scalar in scalars))
    if name == "less" and _is_number(scalars[1].text):
        said = f"{scalars[0].text} < {scalars[1].text}"  # a number is not NaN
    kind = function.kind or max((scalar.kind for scalar in scalars), key=("int", "bigint", "double").index)
    return _unless_null(said, kind, scalars, code, can_be_null=function.can_be_null)


def _value(given: Any, kind: str) -> Any:
    return date.fromisoformat(given) if kind == "date" else given


def _numbers(name: str, arrays: Sequence[Any]) -> Sequence[Any]:
    """Arrow has no common type for what Spark adds up, such as a decimal and a double."""
    if name in ("add", "subtract", "multiply") and len({str(array.type) for array in arrays}) > 1:
        return [_double(array) for array in arrays]
    return arrays


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    if a.type == b.type or pa.types.is_null(b.type):
        return a, pc.cast(b, a.type)
    return _double(a), _double(b)


def _cast(array: Any, kind: str) -> Any:
    if kind == "string":
        if pa.types.is_floating(array.type) or pa.types.is_timestamp(array.type):
            values = array.to_pylist()
            return pa.array([None if value is None else text_of(_naive(value)) for value in values], pa.string())
        return pc.cast(array, pa.string())
    if kind == "int" and pa.types.is_floating(array.type):
        return pc.cast(pc.trunc(array), pa.int32(), safe=False)
    if pa.types.is_boolean(array.type) and kind == "double":
        return pc.cast(pc.cast(array, pa.int8()), pa.float64())
    return pc.cast(array, arrow_type(kind), safe=kind not in ("date", "double"))


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def _literal(value: Any, kind: str, code: RowCode) -> Scalar:
    if value is None:
        return Scalar("None", kind, can_be_null=True)
    if kind in ("double", "int") and value in (float("inf"), float("-inf")):
        return Scalar("inf" if value > 0 else "-inf", kind, can_be_null=False)
    if kind in ("double", "int", "boolean"):
        return Scalar(repr(value), kind, can_be_null=False)
    return Scalar(code.constant(value, (kind, str(value))), kind, can_be_null=False)


def _is_number(text: str) -> bool:
    return text == "inf" or text.lstrip("-").replace(".", "", 1).isdigit()


def _cast_row(scalar: Scalar, kind: str, code: RowCode) -> Scalar:
    if scalar.kind == kind:
        return scalar
    if kind == "double" and scalar.kind in ("int", "bigint", "smallint", "tinyint", "float") and scalar.text[0] != "v":
        return Scalar(f"{scalar.text}.0", kind, can_be_null=False)
    said = {"string": "text_of({})", "double": "float({})", "int": "int({})", "date": "date_of({})"}[kind]
    return _unless_null(said.format(scalar.text), kind, [scalar], code)


def _case(pairs: Sequence[tuple[Tree, Tree]], otherwise: Tree, code: RowCode) -> Scalar:
    said, made = "{}", []
    for condition, value in pairs:
        test, result = of_row(condition, code), of_row(value, code)
        made.append(result)
        said = said.format(f"({result.text} if {test.text} else {{}})")  # None is no True
    last = of_row(otherwise, code)
    kinds = [scalar.kind for scalar in (*made, last) if scalar.text != "None"]
    return code.assign(said.format(last.text), kinds[0], can_be_null=any(s.can_be_null for s in (*made, last)))


def _skipping(name: str, scalars: Sequence[Scalar], code: RowCode) -> Scalar:
    texts, kind = [scalar.text for scalar in scalars], scalars[0].kind
    if name == "is_null":
        return code.assign(f"{texts[0]} is None", "boolean")
    if name == "nullif":
        same = FUNCTIONS["equal"].of_row if kind == "double" else "{0} == {1}"
        return code.assign(f"(None if {same.format(*texts)} else {texts[0]})", kind, can_be_null=True)
    if name == "coalesce":
        said = texts[-1]
        for scalar in reversed(scalars[:-1]):
            said = f"({scalar.text} if {scalar.text} is not None else {said})" if scalar.can_be_null else scalar.text
        return code.assign(said, kind, can_be_null=all(scalar.can_be_null for scalar in scalars))
    if any(scalar.can_be_null for scalar in scalars):
        return code.assign(f"{name}({', '.join(texts)})", kind, can_be_null=all(s.can_be_null for s in scalars))
    said = texts[0]
    for text in texts[1:]:
        said = code.assign(f"({text} if {text} {'<' if name == 'least' else '>'} {said} else {said})", kind).text
    return Scalar(said, kind, can_be_null=False)


def _unless_null(
    said: str, kind: str, scalars: Sequence[Scalar], code: RowCode, *, can_be_null: bool = False
) -> Scalar:
    nullable = list(dict.fromkeys(scalar.text for scalar in scalars if scalar.can_be_null))
    if nullable:
        said = f"None if {' or '.join(f'{text} is None' for text in nullable)} else {said}"
    return code.assign(said, kind, can_be_null=can_be_null or bool(nullable))
