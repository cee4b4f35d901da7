"""Scores as columns of a batch: the champion of a model answers each row by its archive, without Spark's pipeline."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType

from lakeloop.core import logs
from lakeloop.core.errors import ModelError, TableError
from lakeloop.core.run_record import now
from lakeloop.ingestion.enrichment.arrow_scoring import PREDICTION, PROBABILITY, with_answers
from lakeloop.ingestion.enrichment.outcomes import MATCHED, MISSING, asks, outcome_column, require_new
from lakeloop.ingestion.enrichment.score_spec import ModelScore
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.champions import Switch, fetch_release, holder, switches
from lakeloop.lake.tables import Lake
from lakeloop.quality import Finding
from lakeloop.scoring.archive import read_archive
from lakeloop.scoring.kinds import WHOLE
from lakeloop.scoring.release import ARCHIVE
from lakeloop.scoring.scorer import Scorer

log = logs.get(__name__)
TYPES = {
    "prediction": "double", "probability": "double", "is_positive": "boolean", "version": "bigint",
    "training_run": "string",
}  # fmt: skip


@dataclass(frozen=True)
class PreparedModel:
    """One version of a model, which answers all rows of a batch."""

    name: str
    spec: ModelScore
    champion: Switch
    archive: bytes
    scorer: Scorer
    notes: tuple[str, ...] = ()

    def attach(self, conformed: Conformed) -> Conformed:
        """Add the columns and the outcome; a row that the model cannot answer is `missing`, its columns are NULL.

        `probability` and `is_positive` are NULL unless there are two classes. Raises TableError for a column that the
        model takes and the rows lack or have in another type, and for a new column that is there already.
        """
        step = f"score {self.name}"
        conformed.require(list(self.scorer.columns), step)
        require_new(conformed, list(self.spec.columns), step)
        for column, kind in self.scorer.columns.items():
            if not _fits(found := conformed.frame.schema[column].dataType, kind):
                raise TableError(
                    f"{step}: {column} is of type {found.simpleString()}, but {self.champion.model} version "
                    f"{self.champion.version} has learned from {kind}; add the transform `cast: {{{column}: {kind}}}`"
                )
        answered = with_answers(conformed.frame, self.archive, may_lack=True)
        is_known = F.col(PREDICTION).isNotNull()
        outcome = F.when(asks(conformed, list(self.scorer.columns)), F.when(is_known, MATCHED).otherwise(MISSING))
        told = answered.withColumn(outcome_column(self.name), outcome)
        is_matched = F.col(outcome_column(self.name)) == MATCHED
        said = self._said()
        added = {
            column: F.when(is_matched, said[answer]).cast(TYPES[answer]) for column, answer in self.spec.columns.items()
        }
        enriched = told.withColumns(added).drop(PREDICTION, PROBABILITY)
        return Conformed(enriched, (*conformed.findings, *self._findings()))

    def _said(self) -> dict[str, Column]:
        is_binary = self.scorer.task == "binary"
        return {
            "prediction": F.col(PREDICTION),
            "probability": F.col(PROBABILITY),
            "is_positive": F.col(PREDICTION) == 1 if is_binary else F.lit(None),
            "version": F.lit(self.champion.version),
            "training_run": F.lit(self.champion.training_run),
        }

    def _findings(self) -> list[Finding]:
        if self.spec.missing is None:
            return []
        text = F.lit(f"{self.champion.model} version {self.champion.version} has no answer for this row")
        violation = F.when(F.col(outcome_column(self.name)) == MISSING, text)
        return [Finding(f"{self.name}_matches", violation, "error" if self.spec.missing == "quarantine" else "warn")]


def prepare_model(name: str, spec: ModelScore, lake: Lake) -> PreparedModel:
    """Take the version that is champion now, so that one version answers the whole batch.

    Raises ModelError where the model has no champion, or one that can only answer by Spark.
    """
    champion = holder(switches(lake.root, spec.model), spec.model, "champion", now())
    if champion is None:
        raise ModelError(f"score {name}: {spec.model} has no champion; run `lakeloop train {spec.model}` first")
    if champion.release is None:
        raise ModelError(
            f"score {name}: version {champion.version} of {spec.model} answers by Spark alone, which a pipeline does "
            f"not ask; run `lakeloop score {spec.model}`"
        )
    log.info("model", enrichment=name, model=spec.model, version=champion.version)
    archive = archive_in(lake.root, champion.release)
    return PreparedModel(name, spec, champion, archive, read_archive(archive))


def archive_in(lake_root: str, release: str) -> bytes:
    """The archive of a release in the lake. Raises StorageError where the release cannot be read."""
    with TemporaryDirectory(prefix="lakeloop-release-") as folder:
        return (fetch_release(lake_root, release, Path(folder)) / ARCHIVE).read_bytes()


def _fits(found: DataType, kind: str) -> bool:
    """Whether values of a type are those that a column of the model takes, as numbers of another width are."""
    given = found.simpleString()
    return given == kind or (given in WHOLE and kind in WHOLE) or (kind == "double" and isinstance(found, NumericType))
