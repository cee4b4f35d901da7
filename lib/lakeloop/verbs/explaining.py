"""Say why a champion answers as it does: a page for people, and a table of reasons by row."""

from dataclasses import dataclass
from pathlib import Path

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, ModelError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs.lakes import Progress, open_lake, silent


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
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    from lakeloop.registry import ModelRegistry
    from lakeloop.reports.explanation import explanation_sections
    from lakeloop.reports.page import render_page, write_page
    from lakeloop.training.interpretation.explaining import explain
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.training.train import labelled_test_rows

    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake, registry = open_lake(project), ModelRegistry.of(project)
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
    ranked = F.row_number().over(Window.partitionBy(spec.key).orderBy(F.desc("contribution"), "column"))
    columns = StructType([frame.schema[spec.key]]).add("column", "string").add("value", "string")
    for number in ("contribution", "error", "score", "mean_score"):
        columns = columns.add(number, "double")
    rows_told = found.values[columns.names].itertuples(index=False, name=None)
    reasons = lake.spark.createDataFrame(rows_told, columns).withColumns(
        {"rank": ranked, "model": F.lit(spec.model), "model_version": F.lit(champion.version),
         "run_id": F.lit(context.run_id)}
    )  # fmt: skip
    lake.write(table, reasons, mode="overwrite", commit=batch.commit)
    page = f"{lake.root}/_reports/{context.run_id}.html"
    subtitle = f"{spec.model} version {champion.version} on {spec.table} version {version}: {spec.description}"
    write_page(page, render_page(f"Why {spec.model} answers so", subtitle, explanation_sections(found)))
    counts = RowCounts(read=len(found.values), good=len(found.values))
    entry = RunEntry(stream, table, "succeeded", started_at, f"version {champion.version}", batch.batch_id, counts)
    ledger.record(context, entry)
    most = ", ".join(each.column for each in found.permuted[:3])
    segments = found.segments().head(3)
    said = ", ".join(
        f"{column} ({rows:,} rows)" for column, rows in segments[["column", "rows"]].itertuples(index=False, name=None)
    )
    lines = (f"It depends most on {most}.", f"Main reasons: {said}.")
    return Explained(entry, page if "://" in page else Path(page).as_uri(), lines)
