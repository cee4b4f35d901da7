"""An HTTP API that answers JSON."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.core.secrets import SecretReference


class RestConnection(Declaration):
    """An HTTP API that answers JSON."""

    base_url: str = Field(pattern=r"^https?://")
    bearer_token: SecretReference
    timeout_seconds: float = Field(default=30, gt=0)
    retries: int = Field(default=5, ge=0, le=20, description="Further tries after 429, 5xx or a broken connection")
    backoff_seconds: float = Field(default=0.5, ge=0, description="First pause; doubled each time, with jitter")

    @property
    def secrets(self) -> list[SecretReference]:
        """What must have a value before the API can be asked."""
        return [self.bearer_token]
