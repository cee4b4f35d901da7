"""Labels joined with the features that were known at their time: a point-in-time join, as feature stores have it."""

from datetime import timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, MapType, TimestampNTZType, TimestampType

from lakeloop.core.documents import propose
from lakeloop.core.errors import TrainingError


def join_as_of(
    labels: DataFrame,
    features: DataFrame,
    key: str,
    label_time_col: str,
    feature_time_col: str,
    tolerance: timedelta | None = None,
) -> DataFrame:
    """Each row of `labels` once, with the newest row of `features` of its key that is not later than its time.

    A feature row holds from its own time on, and until before that of the next one: [its time, the next). With
    `tolerance` it must be younger than that: label time - feature time in [0, tolerance). The columns of `features`,
    its time included but not its key, are NULL where no row holds, and where key or time of the label is NULL; feature
    rows without key or time hold never. Of several feature rows with one key and time, that with the greatest values
    counts, compared from the first column to the last, NULL being the least.

    Times are dates, which are their midnight, or timestamps. One shuffle, of both tables together, by the key. Raises
    TrainingError for a column that is missing or of a wrong type, keys of two types, a column that stands in both
    tables, and one without an order (a map).
    """
    _check(labels, features, key, label_time_col, feature_time_col)
    others = [name for name in features.columns if name != key]
    known = features.where(F.col(_quoted(key)).isNotNull() & F.col(_quoted(feature_time_col)).isNotNull())
    row, feature = labels.schema, features.select(*map(_quoted, others)).schema
    events = labels.select(
        F.col(_quoted(key)).alias("key"),
        F.col(_quoted(label_time_col)).cast("timestamp").alias("time"),
        F.struct(*map(_quoted, labels.columns)).alias("label"),
        F.lit(None).cast(feature).alias("feature"),
    ).unionByName(
        known.select(
            F.col(_quoted(key)).alias("key"),
            F.col(_quoted(feature_time_col)).cast("timestamp").alias("time"),
            F.lit(None).cast(row).alias("label"),
            F.struct(*map(_quoted, others)).alias("feature"),
        )
    )
    # Of one time, feature rows come first, so that the label's own row sees them.
    in_order = Window.partitionBy("key").orderBy(
        "time", F.col("label").isNotNull(), *(F.col(f"feature.{_quoted(name)}") for name in others)
    )
    newest = F.last("feature", ignorenulls=True).over(in_order.rowsBetween(Window.unboundedPreceding, 0))
    found = events.withColumn("found", newest).where(F.col("label").isNotNull())
    if tolerance is not None:
        age = F.unix_micros("time") - F.unix_micros(F.col(f"found.{_quoted(feature_time_col)}").cast("timestamp"))
        found = found.withColumn("found", F.when(age < tolerance // timedelta(microseconds=1), F.col("found")))
    return found.select("label.*", "found.*")


def _quoted(name: str) -> str:
    return f"`{name}`"


def _check(labels: DataFrame, features: DataFrame, key: str, label_time_col: str, feature_time_col: str) -> None:
    for frame, what, names in (
        (labels, "labels", (key, label_time_col)),
        (features, "features", (key, feature_time_col)),
    ):
        for name in names:
            if name not in frame.columns:
                raise TrainingError(f"join_as_of: {what} have no column '{name}'; {propose(name, frame.columns)}")
        kind = frame.schema[names[1]].dataType
        if not isinstance(kind, DateType | TimestampType | TimestampNTZType):
            raise TrainingError(
                f"join_as_of: '{names[1]}' of {what} is {kind.simpleString()}; cast it to a date or a timestamp"
            )
    kinds = [frame.schema[key].dataType.simpleString() for frame in (labels, features)]
    if kinds[0] != kinds[1]:
        raise TrainingError(f"join_as_of: key '{key}' is {kinds[0]} in labels and {kinds[1]} in features; cast one")
    both = [name for name in features.columns if name != key and name in labels.columns]
    if both:
        raise TrainingError(f"join_as_of: {', '.join(both)} stand in labels and in features; rename them in one")
    unordered = [field.name for field in features.schema if isinstance(field.dataType, MapType)]
    if unordered:
        raise TrainingError(f"join_as_of: {', '.join(unordered)} of features are maps; take single keys of them")
