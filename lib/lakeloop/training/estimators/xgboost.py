"""XGBoost on Spark, an extra: what its parameters are is known here, the package is imported where a file names it."""

from importlib.util import find_spec
from typing import Any

from pyspark.ml import Estimator
from pyspark.ml.param import Param, Params, TypeConverters

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.names import Task

_to_int, _to_float, _to_text = TypeConverters.toInt, TypeConverters.toFloat, TypeConverters.toString


def _param(name: str, kind: Any) -> Param[Any]:
    return Param(Params._dummy(), name, f"XGBoost's {name}", kind)


class Xgboost:
    """The parameters of `xgboost.spark` that a grid may vary, by XGBoost's names, with the type of each."""

    n_estimators = _param("n_estimators", _to_int)
    max_depth = _param("max_depth", _to_int)
    max_leaves = _param("max_leaves", _to_int)
    max_bin = _param("max_bin", _to_int)
    grow_policy = _param("grow_policy", _to_text)
    tree_method = _param("tree_method", _to_text)
    booster = _param("booster", _to_text)
    learning_rate = _param("learning_rate", _to_float)
    gamma = _param("gamma", _to_float)
    min_child_weight = _param("min_child_weight", _to_float)
    max_delta_step = _param("max_delta_step", _to_float)
    subsample = _param("subsample", _to_float)
    colsample_bytree = _param("colsample_bytree", _to_float)
    colsample_bylevel = _param("colsample_bylevel", _to_float)
    colsample_bynode = _param("colsample_bynode", _to_float)
    reg_alpha = _param("reg_alpha", _to_float)
    reg_lambda = _param("reg_lambda", _to_float)
    scale_pos_weight = _param("scale_pos_weight", _to_float)
    num_parallel_tree = _param("num_parallel_tree", _to_int)
    num_workers = _param("num_workers", _to_int)
    device = _param("device", _to_text)
    weightCol = _param("weightCol", _to_text)  # noqa: N815 (the name by which Spark's estimators take weights)

    @staticmethod
    def require() -> None:
        """Raise TrainingError where the package is not installed."""
        if find_spec("xgboost") is None:
            raise TrainingError("xgboost is not installed; it needs the extra: pip install 'lakeloop[xgboost]'")

    @staticmethod
    def estimator(task: Task, features_col: str, label_col: str) -> Estimator[Any]:
        """The unfitted estimator of the package."""
        Xgboost.require()
        from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

        made = SparkXGBClassifier if task == "binary" else SparkXGBRegressor
        estimator: Estimator[Any] = made(features_col=features_col, label_col=label_col, verbose=False)
        return estimator
