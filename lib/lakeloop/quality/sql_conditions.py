"""SQL conditions on one row."""


def columns_of(text: str) -> tuple[str, ...]:
    """The columns that a condition looks at."""
    import sqlglot
    from sqlglot import exp

    found = sqlglot.condition(text, dialect="spark").find_all(exp.Column)
    return tuple(sorted({column.parts[0].name for column in found}))
