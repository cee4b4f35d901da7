"""A database that Spark reaches by JDBC."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.core.secrets import SecretReference


class JdbcConnection(Declaration):
    """A database that Spark reaches by JDBC."""

    url: str = Field(pattern=r"^jdbc:(postgresql):")
    user: str
    password: SecretReference

    @property
    def engine(self) -> str:
        """The database's name in the url."""
        return self.url.split(":")[1]

    @property
    def secrets(self) -> list[SecretReference]:
        """What must have a value before the database can be reached."""
        return [self.password]
