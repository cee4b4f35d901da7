"""What the feature vector is assembled from, part by part, and the columns that each part is made of."""

from dataclasses import dataclass

from lakeloop.training.features.text import text_slots
from lakeloop.training.spec.features import Features

CYCLES = {"month": 12, "day_of_week": 7, "hour": 24}


@dataclass(frozen=True)
class Part:
    """A column of one number, or of a vector of slots, as the assembler takes it, and the source columns behind it."""

    col: str
    sources: tuple[str, ...]


def parts_of(features: Features) -> tuple[Part, ...]:
    """The parts in the order of the vector: numeric, categorical, interactions, dates, text, each as declared."""
    numbers = [
        Part(f"{name}__{'slots' if name in features.buckets else 'filled'}", (name,)) for name in features.numeric
    ]
    categories = [
        Part(f"{name}__{'encoded' if name in features.encode else 'slots'}", (name,)) for name in features.categorical
    ]
    products = [Part(product_col(names), names) for names in features.interactions]
    texts = [Part(col, (name,)) for name, text in features.texts.items() for col in text_slots(name, text)]
    return (*numbers, *categories, *products, *_date_parts(features), *texts)


def terms_cols(features: Features) -> tuple[str, ...]:
    """The parts that are weights of terms, a scale of their own."""
    return tuple(f"{name}__terms" for name, text in features.texts.items() if text.words)


def filled_numbers(features: Features) -> tuple[str, ...]:
    """The names of what is imputed: `<name>__number` becomes `<name>__filled`."""
    multiplied = {name for names in features.interactions for name in names}
    numeric = [name for name in features.numeric if name not in features.buckets or name in multiplied]
    return (*numeric, *plain_date_numbers(features))


def plain_date_numbers(features: Features) -> dict[str, str]:
    """What is made of dates and does not go round, by name: the column that it is made of."""
    return {
        f"{column}__{part}": column
        for column, parts in features.date_parts.items()
        for part in parts
        if part not in CYCLES
    }


def product_col(names: tuple[str, ...]) -> str:
    """The column of an interaction."""
    return "__times__".join(names)


def _date_parts(features: Features) -> list[Part]:
    made: list[Part] = []
    for column, names in features.date_parts.items():
        for name in names:
            if name in CYCLES:
                made += [Part(f"{column}__{name}_{side}", (column,)) for side in ("sine", "cosine")]
            else:
                is_to_a_column = name == "age_days" and isinstance(features.age_at, str)
                made.append(
                    Part(f"{column}__{name}__filled", (column, str(features.age_at)) if is_to_a_column else (column,))
                )
    return made
