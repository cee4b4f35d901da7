"""What Spark needs to run Spark NLP, for models that ask for it."""

from collections.abc import Mapping
from importlib.util import find_spec

from py4j.java_gateway import JavaClass
from pyspark.sql import SparkSession

from lakeloop.core.errors import TrainingError
from lakeloop.core.object_store import JARS

EXCLUDED = "spark.jars.excludes"
# The native runtimes of its neural networks are left out: no annotator that learns on the spot needs one.
SETTINGS = {
    JARS: "com.johnsnowlabs.nlp:spark-nlp_2.12:5.5.3",  # 350 MB with what it needs
    EXCLUDED: "com.johnsnowlabs.nlp:tensorflow-cpu_2.12,com.johnsnowlabs.nlp:jsl-llamacpp-cpu_2.12,"
    "com.johnsnowlabs.nlp:jsl-openvino-cpu_2.12",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.kryoserializer.buffer.max": "1000m",
}


def with_spark_nlp(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties with the jars of Spark NLP beside those that they name, and its settings where they say none."""
    jars, excluded = (properties.get(name, "") for name in (JARS, EXCLUDED))
    if "spark-nlp" in jars:
        return {**SETTINGS, **properties}
    joined = {JARS: _joined(jars, SETTINGS[JARS]), EXCLUDED: _joined(excluded, SETTINGS[EXCLUDED])}
    return {**SETTINGS, **properties, **joined}


def require_spark_nlp(spark: SparkSession) -> None:
    """Raise TrainingError with what to install or set where the package, or its jars in this session, are missing."""
    if find_spec("sparknlp") is None:
        raise TrainingError("Spark NLP is not installed; it needs the extra: pip install 'lakeloop[nlp]'")
    if not isinstance(spark._jvm.com.johnsnowlabs.nlp.DocumentAssembler, JavaClass):  # type: ignore[union-attr]
        settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
        raise TrainingError(
            "this Spark session was started without the jars of Spark NLP. `lakeloop train` starts one that has them; "
            f"elsewhere give it these settings before it starts, with the jars beside your own: {settings}"
        )


def _joined(*lists: str) -> str:
    return ",".join(filter(None, lists))
