"""How an API hands out what does not fit into one answer: one way each, told apart by its key."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration

DottedPath = Annotated[
    str, Field(pattern=r"^[^.]+(\.[^.]+)*$", description="Keys, or positions from 0 in a list, with dots between")
]


class Numbered(Declaration):
    """What ways that count have: the size of a page, and which page is the last one."""

    size: int = Field(default=500, gt=0)
    until: Literal["short", "empty"] = Field(
        default="short", description="The last page: one of fewer than `size` records, or one without any"
    )


class PageNumbers(Numbered):
    """`?page=1&per_page=500`, `?page=2…`."""

    page_param: str = "page"
    size_param: str = "per_page"
    first: int = Field(default=1, ge=0)


class Offsets(Numbered):
    """`?offset=0&limit=500`, `?offset=500…`."""

    offset_param: str = "offset"
    limit_param: str = "limit"


class Cursors(Declaration):
    """Each answer holds the token that asks for the next page; without one (absent, null, empty) it is the last."""

    param: str = Field(description="Query parameter that takes the token")
    next: DottedPath = Field(description="Where the answer holds the token")
    size: int | None = Field(default=None, gt=0)
    size_param: str = "limit"


class Links(Declaration):
    """Each answer holds the address of the next page: in its header `Link: <…>; rel="next"`, or in its body."""

    next: DottedPath | None = Field(default=None, description="Where the body holds the address; none: in the header")
    size: int | None = Field(default=None, gt=0)
    size_param: str = "limit"


class Pagination(Declaration):
    """Exactly one way is given; without any, the one answer is all there is."""

    pages: PageNumbers | None = None
    offset: Offsets | None = None
    cursor: Cursors | None = None
    link: Links | None = None
    max_pages: int = Field(default=10_000, gt=0, description="Of one batch; the next one goes on behind them")

    @model_validator(mode="after")
    def _exactly_one_way(self) -> Self:
        if len([name for name in WAYS if getattr(self, name) is not None]) != 1:
            raise PydanticCustomError("paginate", "{text}", {"text": f"paginate has exactly one of {', '.join(WAYS)}"})
        return self

    @property
    def way(self) -> PageNumbers | Offsets | Cursors | Links:
        """The way that is given."""
        way = self.pages or self.offset or self.cursor or self.link
        assert way is not None
        return way


WAYS = ("pages", "offset", "cursor", "link")
