"""The columns of the table as numbers and categories: one SELECT, which learns nothing from the rows."""

from datetime import date
from math import pi

from lakeloop.training.features.parts import CYCLES
from lakeloop.training.features.text import text
from lakeloop.training.spec.features import DatePart, Features

# Each part as a whole number from 0 where it goes round.
NUMBERS: dict[DatePart, str] = {
    "year": "year({})",
    "month": "(month({}) - 1)",
    "day_of_week": "weekday({})",
    "hour": "hour({})",
}


def conformed(features: Features) -> str:
    """The statement of an SQLTransformer: `<name>__number`, `__cut`, `__category`, `__text` and the sides of cycles."""
    dates = [_date(features, column, part) for column, parts in features.date_parts.items() for part in parts]
    numbers = [f"{number(column)} AS `{column}__number`" for column in features.numeric]
    categories = [f"{category(column)} AS `{column}__category`" for column in features.categorical]
    # Spark's Bucketizer has a bucket for NaN, not for NULL.
    cut = [f"coalesce({number(column)}, CAST('NaN' AS DOUBLE)) AS `{column}__cut`" for column in features.buckets]
    texts = [f"{text(column)} AS `{column}__text`" for column in features.text]
    made = [*numbers, *cut, *categories, *dates, *texts]
    return f"SELECT *, {', '.join(made)} FROM __THIS__"


def multiplied(products: dict[str, tuple[str, ...]]) -> str:
    """The statement that adds a column for each product of imputed numbers."""
    made = [f"{' * '.join(f'`{name}__filled`' for name in names)} AS `{col}`" for col, names in products.items()]
    return f"SELECT *, {', '.join(made)} FROM __THIS__"


def number(column: str) -> str:
    """A numeric feature as SQL: a double, NULL where it is missing."""
    # NaN compares greater than every number in Spark, so one comparison catches NaN and both infinities.
    double = f"CAST(`{column}` AS DOUBLE)"
    return f"CASE WHEN abs({double}) < CAST('Infinity' AS DOUBLE) THEN {double} END"


def category(column: str) -> str:
    """A categorical feature as SQL: a text, `NULL` where there is none."""
    return f"coalesce(nullif(CAST(`{column}` AS STRING), ''), 'NULL')"


def _date(features: Features, column: str, part: DatePart) -> str:
    if part == "age_days":
        given = features.age_at
        until = f"DATE'{given.isoformat()}'" if isinstance(given, date) else f"CAST(`{given}` AS DATE)"
        return f"CAST(datediff({until}, CAST(`{column}` AS DATE)) AS DOUBLE) AS `{column}__{part}__number`"
    value = NUMBERS[part].format(f"`{column}`")
    if part not in CYCLES:
        return f"CAST({value} AS DOUBLE) AS `{column}__{part}__number`"
    angle = f"{value} * {2 * pi / CYCLES[part]!r}D"
    return ", ".join(
        f"coalesce({function}({angle}), 0D) AS `{column}__{part}_{side}`"
        for function, side in (("sin", "sine"), ("cos", "cosine"))
    )
