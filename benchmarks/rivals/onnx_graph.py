"""The graph that says what a scorer says, from the same numbers: imputed numbers, one-hot texts, a scale, a model.

Inputs: `numbers`, shape (rows, numbers), NaN for NULL, and `texts`, shape (rows, texts), 'NULL' for NULL, in the order
of the scorer's columns. Output: `probability` of the positive class, shape (rows,). All but trees is in double.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.scalars import Impute, Index
from lakeloop.scoring.stages.trees import BoostedClassifier, ForestClassifier, Trees
from lakeloop.scoring.stages.vectors import OneHot, Scale

ML = "ai.onnx.ml"


class Graph:
    """Nodes and constants as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """The name of what a node makes, or the names where there are several."""
        made = [f"n{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, domain=domain, **attributes))
        return made[0] if outputs == 1 else made


def graph_of(scorer: Scorer, of_trees: str) -> bytes:
    """The model as bytes; `of_trees` is float or double, the type in which trees compare and add up."""
    numbers = [name for name, kind in scorer.columns.items() if kind != "string"]
    texts = [name for name, kind in scorer.columns.items() if kind == "string"]
    stages = {type(stage): stage for stage in scorer.stages}
    graph = Graph()
    parts = [_filled(graph, stages[Impute], numbers), *_one_hot(graph, stages[Index], stages[OneHot], texts)]
    features = graph.add("Concat", *parts, axis=1)
    if Scale in stages:
        scale: Any = stages[Scale]
        if scale.shifts.any() or scale.offset:
            raise ValueError("a scaler that centres is not written out here")
        features = graph.add("Mul", features, graph.constant(scale.factors))
    _probability(graph, scorer.stages[-1], features, of_trees)
    made = helper.make_graph(
        graph.nodes,
        "scorer",
        [
            helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, len(numbers)]),
            helper.make_tensor_value_info("texts", TensorProto.STRING, [None, len(texts)]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.DOUBLE, [None])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(ML, 5)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def fed(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> dict[str, Any]:
    """What a session is asked with, from dictionaries."""
    numbers = [name for name, kind in columns.items() if kind != "string"]
    texts = [name for name, kind in columns.items() if kind == "string"]
    values = [[row.get(name) for name in numbers] for row in rows]
    return {
        "numbers": np.array(values, dtype=np.float64),  # None becomes NaN
        "texts": np.array([[row.get(name) or "NULL" for name in texts] for row in rows], dtype=object),
    }


def _filled(graph: Graph, impute: Any, numbers: Sequence[str]) -> str:
    fills = dict(zip((name.removesuffix("__number") for name in impute.inputs), impute.fills, strict=True))
    is_missing = graph.add("Or", graph.add("IsNaN", "numbers"), graph.add("IsInf", "numbers"))
    return graph.add("Where", is_missing, graph.constant(np.array([[fills[name] for name in numbers]])), "numbers")


def _one_hot(graph: Graph, index: Any, one_hot: Any, texts: Sequence[str]) -> list[str]:
    columns = graph.add("Split", "texts", outputs=len(texts), axis=1, num_outputs=len(texts))
    labels = dict(zip((name.removesuffix("__category") for name in index.inputs), index.labels, strict=True))
    sizes = dict(zip((name.removesuffix("__index") for name in one_hot.inputs), one_hot.sizes, strict=True))
    made = []
    for name, column in zip(texts, columns, strict=True):
        known, size = labels[name], sizes[name]
        place = graph.add(
            "LabelEncoder", column, domain=ML, keys_strings=known, values_int64s=list(range(len(known))),
            default_int64=len(known),
        )  # fmt: skip
        slots = graph.add("Gather", graph.constant(np.eye(len(known) + 1, size)), place, axis=0)
        made.append(graph.add("Reshape", slots, graph.constant(np.array([-1, size]))))
    return made


def _probability(graph: Graph, model: Any, features: str, of_trees: str) -> None:
    if isinstance(model, BinaryLinear):
        product = graph.add("MatMul", features, graph.constant(model.coefficients[:, np.newaxis]))
        share = graph.add("Sigmoid", graph.add("Add", product, graph.constant(np.array(model.intercept))))
    elif isinstance(model, ForestClassifier):
        # A leaf has one number in this operator; shares of two classes add up to 1 in each tree.
        votes = _trees(graph, model.trees, features, of_trees)
        share = graph.add("Div", votes, graph.constant(np.array(float(len(model.trees.roots)))))
    elif isinstance(model, BoostedClassifier):
        margin = _trees(graph, model.trees, features, of_trees)
        share = graph.add("Sigmoid", graph.add("Mul", margin, graph.constant(np.array(2.0))))
    else:
        raise TypeError(f"{type(model).__name__} is not written out here")
    graph.nodes.append(helper.make_node("Squeeze", [share, graph.constant(np.array([1]))], ["probability"]))


def _trees(graph: Graph, trees: Trees, features: str, of_trees: str) -> str:
    """The weighted sum of what the trees say, of classes of the positive one, shape (rows, 1), as double."""
    number = {"float": np.float32, "double": np.float64}[of_trees]
    inner = np.flatnonzero(trees.slots >= 0)
    leaves = np.flatnonzero(trees.slots < 0)
    inner_at = {int(node): at for at, node in enumerate(inner)}
    leaf_at = {int(node): at for at, node in enumerate(leaves)}
    ends = np.append(trees.roots[1:], len(trees.slots))
    weights = np.repeat(trees.weights, ends - trees.roots)
    modes, splits = [], []
    for node in inner.tolist():
        is_set = trees.sets[node] >= 0
        taken = np.flatnonzero(trees.categories[trees.sets[node]]) if is_set else []
        if is_set and len(taken) != 1:
            raise ValueError("a split by several categories is not written out here")
        modes.append(4 if is_set else 0)  # equal; less or equal
        splits.append(float(taken[0]) if is_set else float(trees.thresholds[node]))

    def child(node: int) -> int:
        return inner_at.get(node, leaf_at.get(node, -1))

    lefts, rights = (side[inner].tolist() for side in (trees.lefts, trees.rights))
    given = features if of_trees == "double" else graph.add("Cast", features, to=TensorProto.FLOAT)
    said = graph.add(
        "TreeEnsemble", given, domain=ML, n_targets=1, aggregate_function=1, post_transform=0,
        tree_roots=[inner_at[int(root)] for root in trees.roots],
        nodes_featureids=trees.slots[inner].tolist(),
        nodes_modes=numpy_helper.from_array(np.array(modes, dtype=np.uint8), "modes"),
        nodes_splits=numpy_helper.from_array(np.array(splits, dtype=number), "splits"),
        nodes_truenodeids=[child(node) for node in lefts],
        nodes_trueleafs=[int(trees.slots[node] < 0) for node in lefts],
        nodes_falsenodeids=[child(node) for node in rights],
        nodes_falseleafs=[int(trees.slots[node] < 0) for node in rights],
        leaf_targetids=[0] * len(leaves),
        leaf_weights=numpy_helper.from_array((trees.values[:, -1] * weights)[leaves].astype(number), "weights"),
    )  # fmt: skip
    return said if of_trees == "double" else graph.add("Cast", said, to=TensorProto.DOUBLE)
