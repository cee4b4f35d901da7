"""Reading Spark's properties files; the session itself is tried in tests/spark."""

from pathlib import Path

import pytest

from lakeloop.core.errors import ConfigError
from lakeloop.core.session import load_properties


def write(folder: Path, text: str, name: str = "spark.properties") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "line",
    ["spark.a.b value", "spark.a.b   \t value  ", "spark.a.b=value", "  spark.a.b = value", "spark.a.b:value"],
)
def test_key_and_value_are_parted_by_space_equals_or_colon(tmp_path: Path, line: str) -> None:
    assert load_properties([write(tmp_path, line)]) == {"spark.a.b": "value"}


@pytest.mark.parametrize(
    "value", ["io.delta:delta-spark_2.12:3.3.2,org.postgresql:postgresql:42.7.7", "-Da=1 -Db=2", "local[*]", "a # b"]
)
def test_separators_inside_a_value_stay(tmp_path: Path, value: str) -> None:
    assert load_properties([write(tmp_path, f"spark.a {value}\n")]) == {"spark.a": value}


def test_comments_and_empty_lines_say_nothing(tmp_path: Path) -> None:
    assert load_properties([write(tmp_path, "# why\n\n  # spark.a 1\nspark.b 2\n")]) == {"spark.b": "2"}


def test_a_later_file_overrides_and_a_missing_one_adds_nothing(tmp_path: Path) -> None:
    base = write(tmp_path, "spark.a 1\nspark.b 1\n", "base.properties")
    overlay = write(tmp_path, "spark.b 2\n", "overlay.properties")
    assert load_properties([base, tmp_path / "none.properties", overlay]) == {"spark.a": "1", "spark.b": "2"}


@pytest.mark.parametrize("line", ["spark.a", "spark.a=", "spark.a  =", "sparq.a 1", "spark.a 1,\\", "= 1"])
def test_a_line_that_is_no_setting_is_named_with_its_place(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f"# one\n{line}\n")
    with pytest.raises(ConfigError, match=r"spark\.properties:2: .* is not a Spark setting"):
        load_properties([path])


def test_the_shipped_files_are_read() -> None:
    conf = Path(__file__).parents[2] / "conf"
    properties = load_properties([conf / "base/spark.properties", conf / "local/spark.properties"])
    assert properties["spark.sql.session.timeZone"] == "UTC"
    assert properties["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"
    assert properties["spark.driver.bindAddress"] == "127.0.0.1"
