"""Say why a champion answers as it does: a page for people, and a table of reasons by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, ModelError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakeloop.training.interpretation.explaining import Explanation


@dataclass(frozen=True)
class Explained:
    """What `explain` left: `entry.table` has the reasons, `page` is the link for people, `lines` say the most."""

    entry: RunEntry
    page: str
    lines: tuple[str, ...]


def explain_model(
    project: Project, name: str, context: RunContext, progress: Progress = silent, *, rows: int = 200
) -> Explained:
    """Explain the champion of a model on the rows that it was held out from, and `rows` of its answers one by one.

    Replaces the table `<scores>_reasons`: one row per explained row and source column, with `contribution` and its
    standard `error` in units of the answer and `rank` 1 for what adds most. Raises ModelError where the model has no
    champion.
    """
    from pyspark.sql import functions as F

    from lakeloop.registry import ModelRegistry
    from lakeloop.reports.explanation import explanation_sections
    from lakeloop.reports.page import render_page, write_page
    from lakeloop.training.interpretation.explaining import explain
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.training.train import labelled_test_rows

    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    registry = ModelRegistry.of(project)
    if (champion := registry.champion(spec.model)) is None:
        raise ModelError(f"{spec.model} has no champion; run `lakeloop train {name}` first")
    stream, table = f"explain_{name}", f"{spec.scores}_reasons"
    ledger, version = Ledger(lake.root), lake.version(spec.table)
    model, frame = registry.load(champion), lake.read(spec.table, version)
    try:
        found = explain(
            spec, model, frame, labelled_test_rows(spec, frame), lambda text: progress(f"{name}: {text}"), rows=rows
        )
    except LakeloopError as error:
        ledger.record(context, RunEntry(stream, table, "failed", started_at, str(error)))
        raise
    details = {"table_version": version, "model_version": champion.version, "rows": rows}
    batch = ledger.plan(stream, Plan(details, f"{spec.table} version {version}"), context, ledger.history(stream))
    reasons = _as_rows(frame, found).withColumns(
        {"model_version": F.lit(champion.version), "run_id": F.lit(context.run_id)}
    )
    lake.write(table, reasons, mode="overwrite", commit=batch.commit)
    page = f"{lake.root}/_reports/{context.run_id}.html"
    subtitle = f"{spec.model} version {champion.version} on {spec.table} version {version}: {spec.description}"
    write_page(page, render_page(f"Why {spec.model} answers so", subtitle, explanation_sections(found)))
    counts = RowCounts(read=len(found.values), good=len(found.values))
    entry = RunEntry(stream, table, "succeeded", started_at, f"version {champion.version}", batch.batch_id, counts)
    ledger.record(context, entry)
    return Explained(entry, page if "://" in page else Path(page).as_uri(), tuple(_lines(found)))


def _as_rows(frame: "DataFrame", found: "Explanation") -> "DataFrame":
    """The values as a frame, with `model` and `rank`."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    spec = found.spec
    columns = StructType([frame.schema[spec.key]]).add("column", "string").add("value", "string")
    for number in ("contribution", "error", "score", "mean_score"):
        columns = columns.add(number, "double")
    rows = frame.sparkSession.createDataFrame(found.values[columns.names].itertuples(index=False, name=None), columns)
    ranked = F.row_number().over(Window.partitionBy(spec.key).orderBy(F.desc("contribution"), "column"))
    return rows.withColumns({"rank": ranked, "model": F.lit(spec.model)})


def _lines(found: "Explanation") -> Iterator[str]:
    yield f"It depends most on {', '.join(each.column for each in found.permuted[:3])}."
    groups = found.segments()[["column", "rows"]].head(3).itertuples(index=False, name=None)
    yield f"Main reasons: {', '.join(f'{column} ({rows:,} rows)' for column, rows in groups)}."
