"""SELECT statements of Spark's SQLTransformer, as the expressions of `scoring.expressions`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.expressions import Tree

UNARY: Mapping[type[exp.Expression], str] = {
    exp.Abs: "abs", exp.Neg: "negative", exp.Sin: "sin", exp.Cos: "cos", exp.Exp: "exp", exp.Ln: "ln", exp.Not: "not",
    exp.Year: "year", exp.Month: "month", exp.Hour: "hour",
}  # fmt: skip
BINARY: Mapping[type[exp.Expression], str] = {
    exp.Add: "add", exp.Sub: "subtract", exp.Mul: "multiply", exp.Div: "divide", exp.EQ: "equal", exp.LT: "less",
    exp.Nullif: "nullif", exp.DateDiff: "datediff",
}  # fmt: skip
MANY: Mapping[type[exp.Expression], str] = {exp.Coalesce: "coalesce", exp.Least: "least", exp.Greatest: "greatest"}
KINDS = {"DOUBLE": "double", "TEXT": "string", "INT": "int", "DATE": "date", "BOOLEAN": "boolean"}


def made_columns(statement: str) -> dict[str, Tree]:
    """What `SELECT *, … AS name FROM __THIS__` adds, by name. Raises ScorerError for SQL that has no counterpart."""
    parsed = sqlglot.parse_one(statement, read="spark")
    if not isinstance(parsed, exp.Select) or set(_clauses(parsed)) != {"expressions", "from_"}:
        raise ScorerError(f"an SQLTransformer must be SELECT *, … AS name FROM __THIS__; found {statement[:200]}")
    first, *made = parsed.expressions
    if not isinstance(first, exp.Star) or not all(isinstance(each, exp.Alias) for each in made):
        raise ScorerError(f"an SQLTransformer must keep all columns and name what it adds; found {statement[:200]}")
    return {each.alias: tree_of(each.this) for each in made}


def _clauses(parsed: exp.Select) -> Iterator[str]:
    return (name if name != "from" else "from_" for name, value in parsed.args.items() if value)


def tree_of(node: Any) -> Tree:
    """One expression."""
    kind = type(node)
    if kind in (exp.Paren, exp.TsOrDsToDate):  # the latter is what sqlglot puts around dates
        return tree_of(node.this)
    if kind in UNARY:
        return ["call", UNARY[kind], tree_of(node.this)]
    if kind in BINARY:
        return ["call", BINARY[kind], tree_of(node.this), tree_of(node.expression)]
    if kind in MANY:
        return ["call", MANY[kind], *(tree_of(each) for each in (node.this, *node.expressions))]
    made = OTHERS.get(kind)
    if made is None:
        raise ScorerError(f"SQL without a counterpart: {node.sql(dialect='spark')[:200]}")
    return made(node)


def _column(node: exp.Column) -> Tree:
    return ["column", node.name]


def _literal(node: exp.Literal) -> Tree:
    if node.is_string:
        return ["literal", node.this, "string"]
    return ["literal", int(node.this), "int"] if node.is_int else ["literal", float(node.this), "double"]


def _cast(node: Any) -> Tree:
    kind = KINDS.get(node.to.this.name)
    if kind is None:
        raise ScorerError(f"a cast without a counterpart: {node.sql(dialect='spark')[:200]}")
    if isinstance(node.this, exp.Literal) and kind != "string":
        return ["literal", float(node.this.this) if kind == "double" else node.this.this, kind]
    return ["cast", kind, tree_of(node.this)]


def _case(node: exp.Case) -> Tree:
    if node.this is not None:
        raise ScorerError(f"CASE with an operand: {node.sql(dialect='spark')[:200]}")
    pairs = [[tree_of(each.this), tree_of(each.args["true"])] for each in node.args["ifs"]]
    return ["case", pairs, _or_null(node.args.get("default"))]


def _if(node: exp.If) -> Tree:
    return ["case", [[tree_of(node.this), tree_of(node.args["true"])]], _or_null(node.args.get("false"))]


def _or_null(node: Any) -> Tree:
    return ["literal", None, "double"] if node is None else tree_of(node)


def _flipped(node: exp.GT) -> Tree:
    return ["call", "less", tree_of(node.expression), tree_of(node.this)]


def _is(node: exp.Is) -> Tree:
    if not isinstance(node.expression, exp.Null):
        raise ScorerError(f"SQL without a counterpart: {node.sql(dialect='spark')[:200]}")
    return ["call", "is_null", tree_of(node.this)]


def _element(node: exp.Bracket) -> Tree:
    """A number out of a text of numbers: element_at(CAST(split('…', ',') AS ARRAY<DOUBLE>), index + 1)."""
    split = node.this.this if isinstance(node.this, exp.Cast) else None
    at = node.expressions[0]
    if not isinstance(split, exp.RegexpSplit) or not isinstance(at, exp.Add) or at.expression.name != "1":
        raise ScorerError(f"SQL without a counterpart: {node.sql(dialect='spark')[:200]}")
    numbers = [float(number) for number in split.this.this.split(split.expression.this)]
    return ["lookup", numbers, tree_of(at.this)]


def _named(node: exp.Anonymous) -> Tree:
    if node.name.lower() != "weekday":
        raise ScorerError(f"SQL without a counterpart: {node.sql(dialect='spark')[:200]}")
    return ["call", "weekday", tree_of(node.expressions[0])]


OTHERS: Mapping[type[exp.Expression], Callable[[Any], Tree]] = {
    exp.Column: _column, exp.Literal: _literal, exp.Cast: _cast, exp.TryCast: _cast, exp.Case: _case, exp.If: _if,
    exp.GT: _flipped, exp.Is: _is, exp.Bracket: _element, exp.Anonymous: _named,
    exp.Null: lambda _: ["literal", None, "double"],
}  # fmt: skip
