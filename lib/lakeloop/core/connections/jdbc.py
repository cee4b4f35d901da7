"""A database that Spark reaches by JDBC."""

from typing import Self

from pydantic import Field, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.core.secrets import SecretReference


class JdbcConnection(Declaration):
    """A database that Spark reaches by JDBC. PostgreSQL needs user and password, a file of SQLite has neither."""

    url: str = Field(pattern=r"^jdbc:(postgresql|sqlite):")
    user: str | None = None
    password: SecretReference | None = None
    connect_timeout_seconds: int = Field(default=10, gt=0, description="Until the server has let the user in")
    read_timeout_seconds: int = Field(
        default=600, gt=0, description="Without a further byte, so it bounds how long a statement may think"
    )

    @model_validator(mode="after")
    def _has_what_its_engine_needs(self) -> Self:
        given = [name for name in ("user", "password") if getattr(self, name) is not None]
        if self.engine == "sqlite":
            if given:
                raise ValueError(f"SQLite knows no users; leave out {' and '.join(given)}")
            if bounds := sorted({"connect_timeout_seconds", "read_timeout_seconds"} & self.model_fields_set):
                raise ValueError(f"SQLite is a file and no server; leave out {' and '.join(bounds)}")
            path = self.url.removeprefix("jdbc:sqlite:").removeprefix("file:")
            if not path.startswith("/"):
                raise ValueError("the url of SQLite names a file by its whole path, as jdbc:sqlite:/data/shop.db")
        elif len(given) < 2:
            raise ValueError("PostgreSQL needs user and password; write the password as ${secret:name}")
        return self

    @property
    def engine(self) -> str:
        """The database's name in the url."""
        return self.url.split(":")[1]

    @property
    def driver_timeouts(self) -> dict[str, str]:
        """How long PostgreSQL's driver waits: by default it would wait for ever for a server that fell silent."""
        if self.engine != "postgresql":
            return {}
        connect = str(self.connect_timeout_seconds)
        return {
            "connectTimeout": connect, "loginTimeout": connect, "socketTimeout": str(self.read_timeout_seconds),
            "tcpKeepAlive": "true",
        }  # fmt: skip

    @property
    def secrets(self) -> list[SecretReference]:
        """What must have a value before the database can be reached."""
        return [] if self.password is None else [self.password]
