"""From a saved pipeline to a scorer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.compiling.feature_stages import FEATURE_STAGES
from lakeloop.scoring.compiling.model_stages import MODEL_STAGES
from lakeloop.scoring.compiling.saved_pipeline import SavedStage, saved_stages
from lakeloop.scoring.scorer import Scorer, Task

STAGES: Mapping[str, Callable[[SavedStage], Any]] = {**FEATURE_STAGES, **MODEL_STAGES}


def compile_pipeline(folder: Path, columns: Mapping[str, str], task: Task) -> Scorer:
    """The scorer of a PipelineModel that Spark saved under `folder`; `columns` are those it reads, with Spark's types.

    Raises ScorerError with the name of a stage, or a setting of one, that has no counterpart.
    """
    stages = saved_stages(folder)
    unknown = [str(stage) for stage in stages if stage.java_class not in STAGES]
    if unknown:
        raise ScorerError(f"stages without a counterpart outside Spark: {', '.join(unknown)}")
    return Scorer(dict(columns), [STAGES[stage.java_class](stage) for stage in stages], task)
