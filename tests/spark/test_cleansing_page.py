"""Every example of `docs/cleansing.md`, run as it stands there."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms import BECAUSE, DROPPED, Conformed, Transform, conform
from lakeloop.quality.judgement import judge
from lakeloop.quality.row_rules.columns import quoted, value_of

PAGE = Path(__file__).parents[2] / "docs/cleansing.md"
Cells = list[list[str | None]]


@dataclass(frozen=True)
class Example:
    """A block of YAML, the rows that are in the table before, and the rows that come in with what becomes of them."""

    heading: str
    declared: str
    header: list[str]
    rows: Cells
    known: tuple[list[str], Cells] | None = None

    def frame(self, spark: SparkSession) -> DataFrame:
        columns = [name for name in self.header if not name.startswith("→") and name != "verdict"]
        return texts(spark, columns, [[*row[: len(columns)], str(number)] for number, row in enumerate(self.rows)])


def texts(spark: SparkSession, columns: list[str], rows: Cells) -> DataFrame:
    names = [*columns, "_row"][: len(rows[0])]
    return spark.createDataFrame(rows, ", ".join(f"{quoted(name)} string" for name in names))


def cell(text: str) -> str | None:
    """NULL, plain words, or a value between backticks: a JSON text where it begins with a quote, else as it stands."""
    text = text.strip().replace(r"\|", "|")
    if text == "NULL":
        return None
    if not text.startswith("`"):
        return text
    value = text.strip("`")
    return json.loads(value) if value.startswith('"') else value


def table(lines: list[str]) -> tuple[list[str], Cells]:
    header, _, *rows = [[cell(text) for text in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in lines]
    return [str(name) for name in header], rows


def examples() -> list[Example]:
    found = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading = section.splitlines()[0]
        for block in section.split("```yaml\n")[1:]:
            declared, rest = block.split("```\n", 1)
            tables = [table(part.splitlines()) for part in re.findall(r"(?:^\|.*\n)+", rest, flags=re.MULTILINE)]
            header, rows = tables[-1]
            found.append(Example(heading, declared, header, rows, tables[0] if len(tables) == 2 else None))
    return found


def test_every_kind_has_an_example() -> None:
    shown = {next(iter(entry)) for example in examples() for entry in yaml.safe_load(example.declared)}
    assert shown == set(Transform.model_fields)
    assert [example.heading for example in examples()] == sorted(
        (example.heading for example in examples()), key=lambda heading: PAGE.read_text().index(f"(#{heading})")
    )


@pytest.mark.parametrize("example", [pytest.param(example, id=example.heading) for example in examples()])
def test_an_example_does_what_the_page_says(spark: SparkSession, example: Example) -> None:
    declared = [Transform.model_validate(entry) for entry in yaml.safe_load(example.declared)]
    known = texts(spark, *example.known) if example.known else None
    conformed = conform(Conformed(example.frame(spark)), declared, lambda: known)
    because = F.col(BECAUSE) if BECAUSE in conformed.frame.columns else None
    judged = judge(conformed.frame, conformed.findings, dropped=conformed.is_dropped, because=because)
    reasons = F.array_join(F.col(f"_reasons.{'message' if DROPPED in judged.columns else 'rule'}"), ", ")
    rules = F.array_join(F.col("_reasons.rule"), ", ")
    said = F.when(F.col("_verdict") == "dropped", reasons).otherwise(rules)
    verdict = F.concat_ws(": ", "_verdict", said)
    after = [name.removeprefix("→ ") for name in example.header if name.startswith("→ ")]
    columns = [*(value_of(name).cast("string") for name in after), verdict]
    found = judged.orderBy(F.col("_row").cast("int")).select(*columns).collect()
    assert [list(row) for row in found] == [row[-len(columns) :] for row in example.rows]
