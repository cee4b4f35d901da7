"""Registry: the only room that speaks with MLflow. Runs, model versions, and the gates before a version may answer.

Enters: a `TrainingResult`. Leaves: a tracked run, a registered version with its release, aliases, a loaded model.
May import `core`, `lake`, `scoring`, `ingestion` and `training`.
"""

from lakeloop.registry.models import Champion, ModelRegistry, Registered

__all__ = ["Champion", "ModelRegistry", "Registered"]
