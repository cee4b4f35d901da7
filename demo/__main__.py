"""`make demo`: real customer data from three sources, through checked tables, to a champion, scores and a report."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pyspark.sql import functions as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demo.sources import Delivery, running_sources
from demo.truth import defect_rows
from demo.world import World
from lakeloop import verbs
from lakeloop.cli.models import candidates_table
from lakeloop.cli.terminal import entries_table
from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ledger import RunEntry
from lakeloop.reports.defects_section import defects_section
from lakeloop.reports.model_report import training_sections
from lakeloop.reports.model_sections import scores_section
from lakeloop.reports.page import Section, render_page, write_page
from lakeloop.reports.run_report import run_sections

FOLDER = Path(".demo")
CONF = Path(__file__).parents[1] / "conf"
MODEL = "churn"
STEPS = 6
PIPELINES = ("customers", "usage", "support_contacts", "customer_features")
NEXT = (
    "runs",
    "run houses house_features   # 2,930 houses, from a file that lies beside the demo's sources",
    "train housing               # what they are sold for",
    "run loans loan_features     # 9,857 loans, as well",
    "train bad_loans             # which go bad, one in nineteen",
    "run reviews review_features # 5,000 reviews of foods",
    "train reviews               # which are not great, from their words",
)
Result = TypeVar("Result")
console = Console()


@dataclass
class Steps:
    """The progress bar of the demo: one step after the other, each with its name and what it is at."""

    bar: Progress

    def __post_init__(self) -> None:
        self.task = self.bar.add_task("", total=STEPS)

    def step(self, name: str, work: Callable[[verbs.Progress], Result]) -> Result:
        started = time.monotonic()
        result = work(lambda text: self.bar.update(self.task, description=f"{name}: {text}"))
        self.bar.advance(self.task)
        self.bar.print(f"  {name} [dim]{time.monotonic() - started:.0f} s[/dim]")
        return result


@contextmanager
def steps() -> Iterator[Steps]:
    """A progress bar while the demo runs."""
    columns = (
        SpinnerColumn(),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Steps(bar)


def main() -> None:
    """Run the whole loop once; a second run takes the second day's data, a third one finds nothing new."""
    logs.configure(FOLDER / "demo.jsonl")
    started = time.monotonic()
    with steps() as progress:
        world = progress.step("Sources built from real telco data", lambda _: World())
        with running_sources(FOLDER, world) as delivery:
            project, context = Project(CONF), RunContext("demo", "local")
            say_what_comes(delivery)
            progress.step("Spark started", lambda _: verbs.open_lake(project))
            ran = progress.step("Pipelines", lambda say: verbs.run(project, PIPELINES, context, say))
            for name, error in ran.failures.items():
                raise LakeloopError(f"{name}: {error}") from error
            trained = progress.step("Training", lambda say: verbs.train_model(project, MODEL, context, say))
            scored = progress.step("Scoring", lambda say: verbs.score_table(project, MODEL, context, say))
            sections = progress.step(
                "Report", lambda _: report_sections(project, context.run_id, delivery, trained, scored)
            )
    subtitle = f"Delivery {delivery.day} of the demo, run {context.run_id}"
    page = (FOLDER / "reports" / f"{context.run_id}.html").resolve()
    write_page(str(page), render_page("Lakeloop: from three sources to a churn model", subtitle, sections))
    console.print(entries_table([*ran.entries, trained.entry, scored]))
    if trained.result is not None:
        console.print(candidates_table(trained))
    console.print(f"Done in {time.monotonic() - started:.0f} s. Tables: {project.lake_root}")
    console.print("Next: make demo again for the next day's data, or look around and train three more models with")
    console.print(f"  export LAKELOOP_LAKE={project.lake_root}", soft_wrap=True)
    for command in NEXT:
        console.print(f"  .venv/bin/lakeloop {command}", highlight=False, soft_wrap=True)
    console.print(f"Report: {page.as_uri()}", soft_wrap=True)


def say_what_comes(delivery: Delivery) -> None:
    """Tell what this run will find in the sources."""
    if delivery.is_new:
        console.print(f"  Day {delivery.day} has been delivered; only what is new will be read.")
    else:
        console.print("  Nothing new has been delivered since the last run, so nothing will be read.")


def report_sections(
    project: Project, run_id: str, delivery: Delivery, trained: verbs.Trained, scored: RunEntry
) -> list[Section]:
    """All sections of the report, in the order of the loop."""
    lake = verbs.open_lake(project)
    specs = [load_pipeline(project, name) for name in sorted(PIPELINES)]
    planted = [defect for defect in delivery.planted if defect.pipeline in PIPELINES]
    sections = run_sections(lake.root, run_id, specs, now(), also=[scored])
    sections.insert(3, defects_section(defect_rows(lake, planted)))
    if trained.result is not None:
        sections += training_sections(trained.result, trained.previous)
    scores = lake.read("gold.churn_scores")
    bins = scores.groupBy(F.least(F.floor(F.col("probability") * 20), F.lit(19)).alias("bin")).count().collect()
    histogram = [(row["bin"] / 20, (row["bin"] + 1) / 20, row["count"]) for row in sorted(bins, key=lambda r: r["bin"])]
    highest = scores.orderBy(F.desc("probability")).select("customer_id", "probability", "model_version").limit(10)
    return [*sections, scores_section(histogram, [row.asDict() for row in highest.collect()])]


if __name__ == "__main__":
    try:
        main()
    except LakeloopError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
