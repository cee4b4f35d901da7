"""The pipelines of a project, for those who only look."""

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline

log = logs.get(__name__)


def declared(project: Project) -> list[PipelineSpec]:
    """The pipelines of a project; one whose declaration is wrong is left out and logged, since it need not have run."""
    specs = []
    for name in project.names("pipelines"):
        try:
            specs.append(load_pipeline(project, name))
        except LakeloopError as error:
            log.warning("pipeline left out", pipeline=name, error=str(error))
    return specs
