"""A folder that files are dropped into."""

from lakeloop.core.documents import Declaration
from lakeloop.core.secrets import SecretReference


class FilesConnection(Declaration):
    """A folder that files are dropped into."""

    path: str

    @property
    def secrets(self) -> list[SecretReference]:
        """None: an object store's credentials come from the environment."""
        return []
