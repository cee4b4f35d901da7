"""Rules of one table together: compiled to findings per row and measures over all of them."""

import hashlib
import inspect
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DateType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from lakeloop.core.documents import Declaration
from lakeloop.core.errors import TableError
from lakeloop.quality.arrival import IS_NEW, POSITION, SOUND, after_earlier, arrival
from lakeloop.quality.contradictions import find_contradictions
from lakeloop.quality.joined_rules import ReadTable
from lakeloop.quality.judgement import Finding, bits_of, judge
from lakeloop.quality.keyed_rules import Among
from lakeloop.quality.measured_rules import OF_NUMBERS
from lakeloop.quality.measures import Measure
from lakeloop.quality.repeats import count_repeats, keys_of, with_counts
from lakeloop.quality.rule import KINDS, Rule
from lakeloop.quality.sql_conditions import Condition

NO_NUMBERS = (DateType, TimestampType, TimestampNTZType, BinaryType, ArrayType, MapType, StructType)
NOT_COUNTED_ON = (StringType, *NO_NUMBERS[1:])  # of a day the next one is a step
NEEDING_ORDER = ("is_increasing", "has_no_gaps")


class ConditionalRules(Declaration):
    """Rules that look only at rows of which a condition is true."""

    condition: Condition = Field(description="SQL condition, as the filter of a rule")
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


class When(Declaration):
    """`when: {condition: "country = 'DE'", rules: […]}`: rules that share a condition."""

    when: ConditionalRules

    @property
    def given(self) -> tuple[Rule, ...]:
        """The rules, each with the condition as its filter, beside one that it has itself."""
        return tuple(
            rule.model_copy(update={"filter": _both(self.when.condition, rule.filter)}) for rule in self.when.rules
        )


def _both(condition: str, other: str | None) -> str:
    return condition if other is None else f"({condition}) AND ({other})"


def _flat(entries: Sequence[Rule | When]) -> tuple[Rule, ...]:
    """The rules one by one. Raises for those that contradict each other, at the place of the later one."""
    placed: list[tuple[tuple[str | int, ...], Rule]] = []
    for at, entry in enumerate(entries):
        if isinstance(entry, When):
            placed += [((at, "when", "rules", nth), rule) for nth, rule in enumerate(entry.given)]
        else:
            placed.append(((at,), entry))
    if wrong := find_contradictions([rule for _, rule in placed]):
        details = [
            InitErrorDetails(
                type=PydanticCustomError("rules", "{text}", {"text": each.text}),
                loc=placed[max(each.places)][0],
                input={},
            )
            for each in wrong
        ]
        raise ValidationError.from_exception_data("rules", details)
    return tuple(rule for _, rule in placed)


def _entry(value: Any) -> Rule | When:
    is_when = isinstance(value, When) or (isinstance(value, Mapping) and list(value) == ["when"])
    return When.model_validate(value) if is_when else Rule.model_validate(value)


if TYPE_CHECKING:
    Rules = tuple[Rule, ...]
else:
    # What a declaration lists under `rules`: rules, and `when` around some of them.
    Rules = Annotated[
        tuple[Annotated[Any, PlainValidator(_entry, json_schema_input_type=Rule | When)], ...],
        AfterValidator(_flat),
    ]


@dataclass(frozen=True)
class Compiled:
    """Rules compiled against a frame: the frame with what they need added, and their findings.

    `marks` are the columns that were added.
    """

    frame: DataFrame
    findings: tuple[Finding, ...]
    marks: tuple[str, ...]


def compile_rules(
    frame: DataFrame,
    declared: Sequence[Rule],
    *,
    read_table: ReadTable,
    counted: Column | None = None,
    sound: Column | None = None,
    earlier: DataFrame | None = None,
    in_order_of: Sequence[str] = (),
    may_reread: bool = True,
) -> Compiled:
    """Compile the rules about rows against a frame; `measures_of` compiles the others.

    `counted` is false for rows that are dropped, `sound` for rows that something else than the rules refuses, by
    default those. `earlier` are the rows that came before and count, with their columns, and `_batch_id` and
    `_position` where these tell their order; rules with a horizon compare with them. `in_order_of` names columns that
    rows without a `_position` arrived in the order of. With `may_reread` the keys of rows that lie in columnar files
    are read once more, which spares a shuffle. Raises TableError for a column that is missing.
    """
    _require_own_names(declared)
    declared = [rule for rule in declared if rule.family != "measured"]
    for rule in declared:
        _require_columns(rule, frame)
        if rule.kind == "has_no_gaps":
            _require_number(rule, frame, NOT_COUNTED_ON)
        if rule.kind in NEEDING_ORDER and POSITION not in frame.columns and not in_order_of:
            raise TableError(
                f"rule {rule.name}: it compares rows in the order of their arrival, which these have no `{POSITION}` "
                "to tell; say by `in_order_of` which columns do"
            )
    counted = F.lit(True) if counted is None else counted
    before = frame.columns
    violations: dict[str, Column] = {r.name: KINDS[r.kind](**r.parameters) for r in declared if r.family == "row"}
    if any(rule.is_causal for rule in declared):
        sound = _sound(declared, violations, counted if sound is None else sound)
        frame = after_earlier(frame.withColumn(SOUND, sound), declared, earlier, in_order_of)
    frame = _with_keyed(frame, declared, violations, counted, in_order_of, may_reread=may_reread)
    frame = frame.where(IS_NEW) if IS_NEW in frame.columns else frame
    for index, rule in enumerate(declared):
        if rule.family == "joined":
            given = {"read_table": read_table, "counted": counted, "marker": f"_rule_{index}"}
            frame, violations[rule.name] = _made(rule, frame=frame, **given)
    findings = [
        Finding(rule.name, _where(rule, violations[rule.name]), rule.severity, rule.columns)
        for rule in declared
        if rule.name in violations
    ]
    return Compiled(frame, tuple(findings), tuple(c for c in frame.columns if c not in before))


def measures_of(
    frame: DataFrame, declared: Sequence[Rule], *, read_table: ReadTable, counted: Column | None = None
) -> dict[str, Measure]:
    """The measures of the rules that have one, by rule, to be aggregated over the frame or one with its columns.

    `counted` is false for rows that they do not look at. Raises TableError for a column that is missing.
    """
    measured = [rule for rule in declared if rule.family == "measured"]
    for rule in measured:
        _require_columns(rule, frame)
        if rule.kind in OF_NUMBERS or (rule.kind == "is_like" and rule.parameters["baseline"].edges):
            _require_number(rule, frame, NO_NUMBERS)
    counted = F.lit(True) if counted is None else counted
    looked_at = {rule.name: counted if (is_it := _filter(rule)) is None else counted & is_it for rule in measured}
    return {
        rule.name: _made(rule, frame=frame, looked_at=looked_at[rule.name], read_table=read_table) for rule in measured
    }


def judge_rules(
    frame: DataFrame,
    declared: Sequence[Rule],
    *,
    read_table: ReadTable | None = None,
    earlier: DataFrame | None = None,
    in_order_of: Sequence[str] = (),
) -> DataFrame:
    """Add `_verdict` and `_reasons` to any frame, as `judge` does; see `compile_rules` for `earlier` and the order.

    `read_table` serves rules that look into other tables. Measured rules, which are about no row, are `check_rules`'.
    """
    compiled = compile_rules(
        frame, declared, read_table=read_table or refuse_tables, earlier=earlier, in_order_of=in_order_of
    )
    judged = judge(compiled.frame, compiled.findings)
    return judged.drop(*compiled.marks, *bits_of(judged))


def refuse_tables(table: str) -> DataFrame:
    """In place of a way to read tables, where there is none."""
    raise TableError(f"a rule reads {table}; pass read_table to say how tables are read")


def rules_version(declared: Sequence[Rule]) -> str:
    """Twelve hexadecimal digits that change whenever a rule does."""
    content = json.dumps([rule.model_dump(mode="json") for rule in declared], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _with_keyed(
    frame: DataFrame,
    declared: Sequence[Rule],
    violations: dict[str, Column],
    counted: Column,
    in_order_of: Sequence[str],
    *,
    may_reread: bool,
) -> DataFrame:
    """The frame with what keyed rules need of the other rows; their violations are added to `violations`."""
    keyed = [(index, rule) for index, rule in enumerate(declared) if rule.family == "keyed"]
    in_batch = counted & F.col(IS_NEW) if IS_NEW in frame.columns else counted
    counts: dict[str, Column] = {}
    for _, rule in keyed:
        of_rule = F.col(SOUND) if rule.is_causal else in_batch
        counts[rule.name] = of_rule if (is_it := _filter(rule)) is None else of_rule & is_it
    may_reread = may_reread and bool(keyed) and IS_NEW not in frame.columns  # earlier rows are read by windows anyway
    repeats = count_repeats(frame, [rule for _, rule in keyed], counts) if may_reread else None
    windows: dict[str, Column] = {}
    for index, rule in keyed:
        marker = f"_rule_{index}"
        among = Among(counts[rule.name], arrival(frame, in_order_of), marker, rule.reach, rule.event_time)
        window, violations[rule.name] = KINDS[rule.kind](**rule.parameters, among=among)
        if repeats is None or (keys := keys_of(rule)) is None:
            windows[marker] = window
        else:
            frame = with_counts(frame, rule.columns, repeats[keys], marker)
    return frame.withColumns(windows) if windows else frame


def _filter(rule: Rule) -> Column | None:
    return None if rule.filter is None else F.coalesce(F.expr(rule.filter), F.lit(False))


def _where(rule: Rule, violation: Column) -> Column:
    return violation if rule.filter is None else F.when(F.expr(rule.filter), violation)


def _sound(declared: Sequence[Rule], violations: Mapping[str, Column], sound: Column) -> Column:
    """Whether no row rule keeps the row from being good: a row that is bad anyway makes no other one a duplicate."""
    severe = [rule for rule in declared if rule.name in violations and rule.severity != "warn"]
    return reduce(operator.and_, (_where(rule, violations[rule.name]).isNull() for rule in severe), sound)


def _require_own_names(declared: Sequence[Rule]) -> None:
    names = [rule.name for rule in declared]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise TableError(f"two rules are called {', '.join(repeated)}; give one a `name`")


def _require_columns(rule: Rule, frame: DataFrame) -> None:
    there = {name.lower() for name in frame.columns}
    for column in rule.reads:
        if column.lower() not in there:
            shown = ", ".join(name for name in frame.columns if not name.startswith("_"))
            raise TableError(f"rule {rule.name}: no column '{column}'; the row has {shown}")


def _require_number(rule: Rule, frame: DataFrame, others: tuple[type[DataType], ...]) -> None:
    name = rule.parameters["column"].lower()
    for field in frame.schema:
        if field.name.lower() == name and isinstance(field.dataType, others):
            raise TableError(
                f"rule {rule.name}: {rule.kind} is of numbers, and {field.name} is {field.dataType.simpleString()}"
            )


def _made(rule: Rule, **given: Any) -> Any:
    """What the function of a rule makes, which is given what its signature asks for."""
    function = KINDS[rule.kind]
    wanted = inspect.signature(function).parameters
    return function(**rule.parameters, **{name: each for name, each in given.items() if name in wanted})
