"""Work in the order of its dependencies, some of it side by side."""

from collections.abc import Callable, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import TypeVar

Result = TypeVar("Result")


def run_graph(needs: Mapping[str, Set[str]], work: Callable[[str], Result], side_by_side: int = 1) -> dict[str, Result]:
    """Do the work of each name once that of all names it needs is done, at most `side_by_side` at a time.

    Work that raises lets what is under way end and begins nothing more. Raises CycleError for a circle.
    """
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    results: dict[str, Result] = {}
    under_way: dict[Future[Result], str] = {}
    with ThreadPoolExecutor(side_by_side, thread_name_prefix="pipeline") as pool:
        try:
            while sorter.is_active():
                under_way |= {pool.submit(work, name): name for name in sorter.get_ready()}
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    name = under_way.pop(future)
                    results[name] = future.result()
                    sorter.done(name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results
