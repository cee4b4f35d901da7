"""Candidates fitted and measured fold by fold: what they share once a fold, their last stages several at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame

from lakeloop.training.cross_validation.stage_tree import Branch, Leaf, fit_shared

AHEAD = 2  # folds in memory at a time
T = TypeVar("T")
Told = Callable[[int, int], None]


def fit_folds(
    tree: Sequence[Branch],
    folds: Sequence[tuple[DataFrame, DataFrame]],
    measure: Callable[[Leaf], T],
    *,
    columns: Iterable[str] = (),
    partitions: int | None = None,
    parallelism: int,
    told: Told,
) -> list[dict[int, T]]:
    """What `measure` finds of each candidate on each fold, a fold being rows to train with and rows to measure on.

    Where candidates part, rows are cached in no more `partitions` than that, at most two folds of them, with the
    columns that later stages and `columns` name; stages before read `folds` again, whose rows should be cached.
    `measure` runs in threads, `parallelism` at a time, while the stages that candidates of the next fold share are
    fitted in the caller's. `told(fold, candidate)` is called there after each.
    """
    measured: list[dict[int, T]] = []
    running: deque[_Fold[T]] = deque()
    pool = ThreadPoolExecutor(max(parallelism, 1))
    try:
        for number in range(len(folds)):
            while len(running) < AHEAD and number + len(running) < len(folds):
                running.append(_Fold(partitions))
                running[-1].start(tree, folds[number + len(running) - 1], frozenset(columns), measure, pool)
            measured.append({})
            for candidate, fit in running[0].fits:
                measured[-1][candidate] = fit.result()
                told(number, candidate)
            running.popleft().release()
    finally:
        pool.shutdown(cancel_futures=True)
        for left in running:
            left.release()
    return measured


class _Fold(Generic[T]):
    """What one fold keeps in memory, and its fits under way."""

    def __init__(self, partitions: int | None) -> None:
        self._partitions = partitions
        self.fits: list[tuple[int, Future[T]]] = []
        self._cached: list[DataFrame] = []

    def start(
        self,
        tree: Sequence[Branch],
        rows: tuple[DataFrame, DataFrame],
        columns: frozenset[str],
        measure: Callable[[Leaf], T],
        pool: ThreadPoolExecutor,
    ) -> None:
        in_thread = inheritable_thread_target(measure)
        for leaf in fit_shared(tree, *rows, columns, self._cache):
            self.fits.append((leaf.candidate, pool.submit(in_thread, leaf)))

    def _cache(self, frame: DataFrame) -> DataFrame:
        # A task costs more than its rows where these are few.
        rows = (frame if self._partitions is None else frame.coalesce(self._partitions)).persist()
        self._cached.append(rows)
        return rows

    def release(self) -> None:
        for frame in self._cached:
            frame.unpersist()
