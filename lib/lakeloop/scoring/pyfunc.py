"""The scorer as MLflow's pyfunc loads it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.scoring.archive import read_archive
from lakeloop.scoring.release import ARCHIVE
from lakeloop.scoring.scorer import Scorer


class ServedScorer:
    """Answers for a pandas DataFrame: `prediction` and, for classes, `probability` of the positive one or of each."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 (MLflow's signature)
        """One row of answers per row, in their order."""
        answers = self.scorer.score_many(pa.Table.from_pandas(rows, preserve_index=False))
        made: dict[str, Any] = {"prediction": answers.predictions}
        if answers.probabilities is not None and self.scorer.task == "binary":
            made["probability"] = answers.probabilities[:, 1]
        elif answers.probabilities is not None:
            made |= {f"probability_{at}": column for at, column in enumerate(answers.probabilities.T)}
        return pa.table(made).to_pandas()


def _load_pyfunc(path: str) -> ServedScorer:
    """What MLflow calls with the release of a logged model."""
    return ServedScorer(read_archive(Path(path) / ARCHIVE))
