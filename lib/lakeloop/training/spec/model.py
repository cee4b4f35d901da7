"""What a model file says: `ModelSpec`, validated without Spark, its descriptions ending up in the JSON Schema."""

from typing import Self

from pydantic import Field, model_validator

from lakeloop.core.documents import Declaration, unknown_key
from lakeloop.training.algorithms import ALGORITHMS, MARGIN_ONLY, GridPoint, tunable
from lakeloop.training.metrics.names import METRICS, OF_PROBABILITIES, Metric, Task
from lakeloop.training.metrics.yardstick import Costs, Yardstick
from lakeloop.training.spec.candidates import Candidate
from lakeloop.training.spec.decision import Decision, MetricTerms
from lakeloop.training.spec.features import Features
from lakeloop.training.spec.gates import Gates
from lakeloop.training.spec.label import Label
from lakeloop.training.spec.names import ColumnName, TableName
from lakeloop.training.spec.search import Search, Selection
from lakeloop.training.spec.splits import Folds, Split


class ModelSpec(Declaration):
    """One model: the table it learns from, how it is validated, what competes and what decides."""

    model: str = Field(pattern=r"^\w+$", description="Name in the registry")
    description: str = Field(description="What the model answers, for people")
    owner: str = Field(description="Team that answers for the model")
    table: TableName = Field(description="Table with one row per key: schema.table")
    key: ColumnName = Field(description="Column that identifies a row: unique and not NULL")
    label: Label = Field(description="What is predicted")
    split: Split = Field(description="How the test rows are held out")
    folds: Folds = Field(description="How candidates are cross-validated")
    features: Features = Field(description="What the model looks at")
    candidates: tuple[Candidate, ...] = Field(min_length=1, description="Algorithms that compete, each with a grid")
    select_by: Metric = Field(
        default_factory=lambda given: METRICS[given["label"].task if "label" in given else "binary"][0],
        description="Metric whose mean over the folds decides: area_under_roc if nothing is said, r2 for a regression",
    )
    search: Search = Field(
        Search.model_validate({}), description="How candidates are looked for: every one if not said"
    )
    select: Selection = Field(
        "best",
        description="best: the best mean; one_standard_error: the smallest model whose mean is as good as the best's "
        "but for one standard error of it",
    )
    decision: Decision | None = Field(None, description="From the winner's scores to probabilities and to a yes or no")
    metrics: MetricTerms = Field(
        MetricTerms.model_validate({}), description="What metrics of two classes depend on besides the scores"
    )
    slices: tuple[ColumnName, ...] = Field(
        (), description="Columns of few values: metrics are shown for each value, NULL being one, as well"
    )
    gates: Gates = Field(Gates.model_validate({}), description="What a version must show before it may answer")
    scores: TableName = Field(description="Table that scoring writes: schema.table")

    @model_validator(mode="after")
    def _keeps_answers_out_of_features(self) -> Self:
        leaked = [column for column in (self.key, self.label.column) if column in self.features.columns]
        if leaked:
            raise ValueError(f"{', '.join(leaked)} cannot be a feature: it identifies the row or is the answer")
        if self.features.pca is None and any(candidate.on == "pca" for candidate in self.candidates):
            raise ValueError("a candidate says `on: pca` but features.pca is not declared; add pca: {components: …}")
        return self

    @model_validator(mode="after")
    def _suits_its_task(self) -> Self:
        task = self.task
        for candidate in self.candidates:
            name = candidate.algorithm
            if name not in ALGORITHMS[task]:
                raise ValueError(f"{name} is not for task {task}; allowed are {', '.join(ALGORITHMS[task])}")
            for param in getattr(candidate, name):
                if param not in tunable(name, task):
                    raise unknown_key(param, list(tunable(name, task)), f"parameter of {name} for task {task}")
        if self.select_by not in METRICS[task]:
            raise ValueError(f"select_by {self.select_by} is not for task {task}; one of {', '.join(METRICS[task])}")
        if task == "regression" and "stratified" in (self.split.kind, self.folds.kind):
            raise ValueError("a number has no classes to stratify by; say kind: random")
        return self

    @model_validator(mode="after")
    def _suits_its_features(self) -> Self:
        for kind in (kind for candidate in self.candidates for kind in candidate.kinds_of_bayes):
            weights = {text.weight for text in self.features.texts.values()}
            if not self.features.are_counts or (kind == "bernoulli" and weights != {"presence"}):
                wants = "0 and 1: text alone, with weight: presence" if kind == "bernoulli" else "counts: text alone"
                raise ValueError(
                    f"naive_bayes with modelType {kind} wants {wants}; say modelType: [gaussian] for other features"
                )
        judged = [column for column, text in self.features.texts.items() if text.sentiment]
        if judged and self.task == "regression":
            raise ValueError(f"sentiment of {judged[0]} is learned from two classes, and a regression has none")
        return self

    @model_validator(mode="after")
    def _searches_where_ranges_are(self) -> Self:
        ranged = [f"{name} of {candidate.algorithm}" for candidate in self.candidates for name in candidate.ranges]
        if ranged and self.search.kind == "grid":
            raise ValueError(
                f"a grid has no end of values in a range ({', '.join(ranged)}); list values, or say "
                "search: {kind: random} or {kind: bayesian}"
            )
        return self

    @model_validator(mode="after")
    def _decides_between_two_classes(self) -> Self:
        if self.task == "regression":
            balanced = [candidate.algorithm for candidate in self.candidates if candidate.balance]
            if self.decision is not None or balanced:
                named = "decision" if self.decision is not None else f"balance of {balanced[0]}"
                raise ValueError(f"a regression has no classes; take {named} out")
            return self
        if logs := [candidate.algorithm for candidate in self.candidates if candidate.learn]:
            raise ValueError(f"a class has no logarithm; take learn of {logs[0]} out")
        if self.select_by == "cost" and (self.decision is None or self.decision.costs is None):
            raise ValueError("select_by cost needs decision.costs: {false_positive: …, false_negative: …}")
        margins = [candidate.algorithm for candidate in self.candidates if candidate.algorithm in MARGIN_ONLY]
        if margins and (self.decision is None or self.decision.calibrate is None):
            raise ValueError(
                f"{margins[0]} gives no probability before calibration; say decision: {{calibrate: platt}}"
            )
        if margins and self.select_by in OF_PROBABILITIES:
            raise ValueError(
                f"select_by {self.select_by} compares probabilities before calibration, and {margins[0]} gives none; "
                "say area_under_roc or area_under_pr"
            )
        return self

    @model_validator(mode="after")
    def _has_slices_to_compare(self) -> Self:
        repeated = sorted({column for column in self.slices if self.slices.count(column) > 1})
        if repeated or self.label.column in self.slices:
            raise ValueError(
                f"slices stand twice: {', '.join(repeated)}"
                if repeated
                else f"slices: {self.label.column} is the label, so each slice would have one class; take it out"
            )
        return self

    @model_validator(mode="after")
    def _has_slices_for_its_gate(self) -> Self:
        gate = self.gates.slices
        if gate is not None and not self.slices:
            raise ValueError(
                "gates.slices compares slices, and none are declared; say slices: [a column of few values]"
            )
        if gate is not None and gate.metric not in METRICS[self.task]:
            raise ValueError(f"gates.slices: metric {gate.metric} is not for task {self.task}")
        return self

    def stratifies(self, dealt: Split | Folds) -> bool:
        """Whether each class has its share, which is what happens to classes if nothing is said."""
        return dealt.kind == "stratified" or (dealt.kind is None and self.task == "binary")

    @property
    def task(self) -> Task:
        """What kind of answer the model gives."""
        return self.label.task

    def points(self) -> tuple[GridPoint, ...]:
        """Everything that competes in a grid: each candidate's values combined, in the declared order."""
        return tuple(point for candidate in self.candidates for point in candidate.points(self.task))

    def yardstick(self, threshold: float) -> Yardstick:
        """What the metrics of a model with this threshold are measured by."""
        costs = self.decision.costs if self.decision is not None else None
        declared = Costs(costs.false_positive, costs.false_negative) if costs is not None else None
        return Yardstick(threshold, self.metrics.beta, self.metrics.top, declared)

    @property
    def fold_threshold(self) -> float:
        """The threshold in the folds, where nothing is calibrated: a declared number that suits such scores, or 0.5."""
        decision = self.decision
        if decision is None or decision.calibrate is not None or isinstance(decision.threshold, str):
            return 0.5
        return decision.threshold
