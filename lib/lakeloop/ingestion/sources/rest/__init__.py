"""HTTP APIs: pages are fetched and landed as files first, so that a batch can be read again after a kill.

`partitions` says what is asked for, `fetching` brings one partition page by page (`paging`: which page comes next;
`records`: what an answer holds; `landing`: where it is put), on the driver or on executors, and `reader` makes a batch
of what came. `observing` tells what keys and types came, `parsing` makes rows of what was landed.
"""

from lakeloop.ingestion.sources.rest.reader import RestReader

__all__ = ["RestReader"]
