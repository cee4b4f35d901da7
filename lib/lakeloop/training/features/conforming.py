"""The columns of the table as numbers and categories: one SELECT, which learns nothing from the rows."""

from datetime import date
from math import pi

from lakeloop.training.features.parts import CYCLES
from lakeloop.training.spec.features import DatePart, Features

# Each part as a whole number from 0 where it goes round.
NUMBERS: dict[DatePart, str] = {
    "year": "year({})",
    "month": "(month({}) - 1)",
    "day_of_week": "weekday({})",
    "hour": "hour({})",
}


def conformed(features: Features) -> str:
    """The statement of an SQLTransformer that adds `<name>__number`, `<name>__category` and the sides of cycles."""
    dates = [_date(features, column, part) for column, parts in features.date_parts.items() for part in parts]
    made = [*map(_number, features.numeric), *map(_category, features.categorical), *dates]
    return f"SELECT *, {', '.join(made)} FROM __THIS__"


def multiplied(products: dict[str, tuple[str, ...]]) -> str:
    """The statement that adds a column for each product of imputed numbers."""
    made = [f"{' * '.join(f'`{name}__filled`' for name in names)} AS `{col}`" for col, names in products.items()]
    return f"SELECT *, {', '.join(made)} FROM __THIS__"


def _number(column: str) -> str:
    # NaN compares greater than every number in Spark, so one comparison catches NaN and both infinities.
    return (
        f"CASE WHEN abs(CAST(`{column}` AS DOUBLE)) < CAST('Infinity' AS DOUBLE) "
        f"THEN CAST(`{column}` AS DOUBLE) END AS `{column}__number`"
    )


def _category(column: str) -> str:
    return f"coalesce(nullif(CAST(`{column}` AS STRING), ''), 'NULL') AS `{column}__category`"


def _date(features: Features, column: str, part: DatePart) -> str:
    if part == "age_days":
        given = features.age_at
        until = f"DATE'{given.isoformat()}'" if isinstance(given, date) else f"CAST(`{given}` AS DATE)"
        return f"CAST(datediff({until}, CAST(`{column}` AS DATE)) AS DOUBLE) AS `{column}__{part}__number`"
    number = NUMBERS[part].format(f"`{column}`")
    if part not in CYCLES:
        return f"CAST({number} AS DOUBLE) AS `{column}__{part}__number`"
    angle = f"{number} * {2 * pi / CYCLES[part]!r}D"
    return ", ".join(
        f"coalesce({function}({angle}), 0D) AS `{column}__{part}_{side}`"
        for function, side in (("sin", "sine"), ("cos", "cosine"))
    )
