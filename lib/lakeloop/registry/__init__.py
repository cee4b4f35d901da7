"""Registry: the only room that speaks with MLflow. Runs, model versions and who is champion.

Enters: a `TrainingResult`. Leaves: a tracked run, a registered version, the alias `champion`, a loaded model.
May import `core`, `lake`, `ingestion` and `training`.
"""

from lakeloop.registry.models import Champion, ModelRegistry

__all__ = ["Champion", "ModelRegistry"]
