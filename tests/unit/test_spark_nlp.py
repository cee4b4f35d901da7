"""The Spark settings that Spark NLP needs, beside those of the project."""

from lakeloop.core.object_store import JARS
from lakeloop.core.spark_nlp import EXCLUDED, SETTINGS, with_spark_nlp


def test_its_jars_stand_beside_those_of_the_project() -> None:
    found = with_spark_nlp({JARS: "io.delta:delta-spark_2.12:3.3.2", "spark.master": "local[2]"})
    assert found[JARS] == f"io.delta:delta-spark_2.12:3.3.2,{SETTINGS[JARS]}"
    assert found[EXCLUDED] == SETTINGS[EXCLUDED]
    assert found["spark.serializer"].endswith("KryoSerializer")
    assert found["spark.master"] == "local[2]"
    assert with_spark_nlp({}) == SETTINGS
    assert with_spark_nlp({EXCLUDED: "a:b"})[EXCLUDED] == f"a:b,{SETTINGS[EXCLUDED]}"


def test_what_the_project_says_of_spark_nlp_holds() -> None:
    own = {JARS: "my.mirror:spark-nlp-assembly:1", "spark.kryoserializer.buffer.max": "64m"}
    found = with_spark_nlp(own)
    assert found.items() >= own.items()
    assert with_spark_nlp(found) == found
