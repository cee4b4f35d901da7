"""What Spark NLP makes of a few letters, as one JSON object: its jars need a session, and so a process, of their own.

`python tests/spark/spark_nlp_process.py FOLDER` works in an empty folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.core.session import build_session, load_properties
from lakeloop.core.spark_nlp import with_spark_nlp
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import slot_map
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import train

CONF = Path(__file__).parents[2] / "conf"
SMALL = {
    "spark.master": "local[2]", "spark.driver.memory": "1500m", "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false", "spark.sql.shuffle.partitions": "2",
}  # fmt: skip


def declared(**keys: Any) -> ModelSpec:
    text = {"engine": "spark_nlp", "min_documents": 1, "weight": "count"} | keys
    return ModelSpec.model_validate(
        {
            "model": "letters", "description": "Who complains", "owner": "tests", "table": "gold.letters", "key": "id",
            "label": {"column": "mood", "positive": "bad"}, "split": {"test": 0.25, "seed": 1},
            "folds": {"count": 2, "seed": 1}, "features": {"text": {"letter": text}, "scale": "none"},
            "candidates": [{"logistic_regression": {"regParam": [0.01]}}], "scores": "gold.letter_scores",
        }
    )  # fmt: skip


def fitted(spec: ModelSpec, rows: DataFrame) -> PipelineModel:
    return Pipeline(stages=feature_stages(spec, rows.schema)).fit(rows)


def terms(spec: ModelSpec, rows: DataFrame) -> list[str]:
    return sorted(name.removeprefix("letter = ") for name in slot_map(spec, fitted(spec, rows)).names)


def vectors(spec: ModelSpec, rows: DataFrame) -> list[list[float]]:
    made = fitted(spec, rows).transform(rows).orderBy("id").select("features").collect()
    return [row[0].toArray().tolist() for row in made]


def letters(spark: SparkSession) -> DataFrame:
    """60 letters, 20 of them complaints; every tenth one is NULL."""

    def letter(i: int) -> str | None:
        told = ("was awful and broken", "is bad, very bad") if i % 3 == 0 else ("was lovely", "is good, very good")
        return None if i % 10 == 9 else f"The parcel {told[i % 2]}, number {i % 7}"

    rows = [(f"l{i:02d}", letter(i), "bad" if i % 3 == 0 else "fine") for i in range(60)]
    return spark.createDataFrame(rows, "id string, letter string, mood string").coalesce(1)


def sentiments(rows: DataFrame, of: str) -> dict[str, float]:
    spec = declared(words=0, sentiment=True)
    labelled = rows.selectExpr("*", "double(mood = 'bad') AS _label", "int(hash(id) % 2) AS _fold_0")
    model = Pipeline(stages=feature_stages(spec, rows.schema)).fit(labelled)
    asked = labelled if of == "learned from" else labelled.drop("_fold_0")
    served = model if of == "learned from" else for_serving(model)
    return {row["id"]: row[1][0] for row in served.transform(asked).select("id", "features").collect()}


def refusal(spec: ModelSpec, rows: DataFrame) -> str:
    try:
        fitted(spec, rows)
    except TrainingError as error:
        return str(error)
    return "no error"


def main(folder: Path) -> dict[str, Any]:
    properties = load_properties([CONF / "base/spark.properties", CONF / "local/spark.properties"])
    spark = build_session(with_spark_nlp({**properties, **SMALL}), "lakeloop-nlp", folder / "spark.log")
    told: dict[str, Any] = {}
    notes = [(1, "The mice were running!", 1.0), (2, "A mouse runs; it ran.", 0.0), (3, None, 0.0), (4, "", 1.0)]
    rows = spark.createDataFrame(notes, "id int, letter string, _label double").coalesce(1)
    told["stems"] = terms(declared(), rows)
    told["without stop words"] = terms(declared(stop_words="english"), rows)
    lemmas = folder / "lemmas.txt"
    lemmas.write_text("mouse -> mice\tmouse\nrun -> runs\trunning\tran\n", encoding="utf-8")
    spec = declared(lemmas=str(lemmas), stop_words=["the", "a", "it", "were"])
    told["lemmas"] = terms(spec, rows)
    told["counts"] = vectors(spec, rows)
    told["embeddings"] = vectors(declared(words=0, embeddings={"size": 3, "passes": 1}), rows)
    told["no lemmas"] = refusal(declared(lemmas=str(folder / "none.txt")), rows)
    lemmas.write_text("mouse -> mice\nrun, runs\n", encoding="utf-8")
    told["wrong lemmas"] = refusal(declared(lemmas=str(lemmas)), rows)
    told["too few words"] = refusal(declared(words=0, embeddings={}, min_documents=9), rows)

    many = letters(spark)
    told["sentiment of new rows"] = sentiments(many, "new")
    told["sentiment of learned rows"] = sentiments(many, "learned from")
    turned = F.when(F.col("id") == "l00", "fine").otherwise(F.col("mood"))
    told["sentiment, first label turned"] = sentiments(many.withColumn("mood", turned), "learned from")["l00"]
    spec = declared(stop_words="english", sentiment=True, embeddings={"size": 4}, min_documents=2)
    result = train(spec, many, lambda done, total, text: None)
    told["accuracy"] = result.test.accuracy
    result.model.write().save(str(folder / "model"))
    loaded = PipelineModel.load(str(folder / "model"))
    told["modules"] = sorted({type(stage).__module__.partition(".")[0] for stage in loaded.stages})
    answers = [
        [row[0][1] for row in model.transform(many).orderBy("id").select("probability").collect()]
        for model in (result.model, loaded)
    ]
    told["loaded answers alike"] = answers[0] == answers[1]
    spark.stop()
    return told


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "told.json").write_text(json.dumps(main(folder)))
