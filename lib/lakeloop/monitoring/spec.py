"""What a user may write in `alerts.yml`: channels, and which incidents go to which of them."""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, Secret, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.config import Project
from lakeloop.core.documents import ONE_KEY, Declaration, propose
from lakeloop.core.durations import Duration
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RowCounts
from lakeloop.core.secrets import SecretReference
from lakeloop.monitoring.incidents import Cause, Kind, Severity

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# Only what cannot end a header or add a second address; ASCII, since not every server takes more.
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$", max_length=254)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class EmailChannel(Declaration):
    """A mail server and who gets mail through it."""

    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(gt=0, lt=65536)
    tls: Literal["none", "starttls", "tls"]
    ca_file: str | None = Field(default=None, description="Certificates to trust instead of the machine's")
    user: str | None = None
    password: SecretReference | None = None
    sender: Address
    to: tuple[Address, ...] = Field(min_length=1)
    timeout_seconds: float = Field(default=10, gt=0, le=60)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise PydanticCustomError("email", "user and password are given together, or neither")
        if self.password is not None and self.tls == "none" and self.host not in LOOPBACK:
            raise PydanticCustomError("email", "tls: none would send the password readable; use starttls or tls")
        return self


class SecretHeader(Declaration):
    """A header that identifies the sender, as `Authorization`."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    value: SecretReference


class WebhookChannel(Declaration):
    """A URL that takes each message as JSON by POST."""

    url: Url
    secret_header: SecretHeader | None = None
    sign_with: SecretReference | None = Field(
        default=None, description="Key of an HMAC-SHA256 over the body, sent as `X-Lakeloop-Signature: sha256=…`"
    )
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class SlackChannel(Declaration):
    """An incoming webhook of Slack; whoever knows its URL can post, so it is a secret."""

    url: SecretReference
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class Channel(Declaration):
    """A way to people; exactly one kind is given."""

    model_config = ONE_KEY

    email: EmailChannel | None = None
    webhook: WebhookChannel | None = None
    slack: SlackChannel | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Self:
        if [self.email, self.webhook, self.slack].count(None) != 2:
            raise PydanticCustomError("channel", "a channel has exactly one of the keys email, slack, webhook")
        return self

    @property
    def secrets(self) -> list[Secret[str]]:
        """The references that must have a value before a message can be sent."""
        hook = self.webhook
        wanted = [
            self.email.password if self.email else None,
            self.slack.url if self.slack else None,
            hook.sign_with if hook else None,
            hook.secret_header.value if hook and hook.secret_header else None,
        ]
        return [secret for secret in wanted if secret is not None]


class Threshold(Declaration):
    """How many quarantined rows of a batch are still bearable: a number, or per cent of the rows read."""

    rows: int | None = None
    percent: Decimal | None = None

    def is_exceeded(self, counts: RowCounts) -> bool:
        """Whether more rows are quarantined; as many are bearable."""
        if self.percent is not None:
            return counts.quarantined * 100 > self.percent * counts.read
        return counts.quarantined > (self.rows or 0)


def _threshold(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return {"rows": value}
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}(\.\d+)?%", value) and Decimal(value[:-1]) < 100:
        return {"percent": value[:-1]}
    raise PydanticCustomError("over", "a threshold is a number of rows, as 100, or a share below 100%, as 1%")


class AlertRule(Declaration):
    """Which incidents go to which channels."""

    kinds: tuple[Kind, ...] = Field(min_length=1)
    channels: tuple[str, ...] = Field(min_length=1)
    pipelines: tuple[str, ...] = Field(default=(), description="None named: all")
    owners: tuple[str, ...] = Field(
        default=(), description="Whose: the owner of a violated rule, else of the pipeline; none named: everybody's"
    )
    min_severity: Severity = "warn"
    over: Annotated[Threshold, BeforeValidator(_threshold, json_schema_input_type=int | str)] = Field(
        default=Threshold(rows=0), description="For rows_quarantined: alert beyond this many rows, or this share"
    )
    violated: tuple[str, ...] = Field(default=(), description="For rule_violated: names of rules; none named: all")
    repeat_after: Duration | None = Field(default=None, description="Tell again while it lasts; without it, once")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, kind in (("over", "rows_quarantined"), ("violated", "rule_violated")):
            if key in self.model_fields_set and kind not in self.kinds:
                raise PydanticCustomError("alert", "{text}", {"text": f"{key} belongs to the kind {kind}"})
        return self

    def concerns(self, cause: Cause) -> bool:
        """Whether this rule sends such a cause anywhere."""
        return (
            cause.kind in self.kinds
            and self.covers(cause.pipeline)
            and (not self.owners or cause.owner in self.owners)
            and (cause.severity == "error" or self.min_severity == "warn")
            and (cause.kind != "rows_quarantined" or self.over.is_exceeded(cause.counts))
            and (cause.kind != "rule_violated" or not self.violated or cause.detail in self.violated)
        )

    def covers(self, pipeline: str) -> bool:
        """Whether this rule is about the pipeline."""
        return not self.pipelines or pipeline in self.pipelines


class AlertsSpec(Declaration):
    """All of `alerts.yml`."""

    channels: dict[str, Channel] = Field(default_factory=dict)
    rules: tuple[AlertRule, ...] = ()

    @property
    def secrets(self) -> list[Secret[str]]:
        """The references of all channels."""
        return [secret for channel in self.channels.values() for secret in channel.secrets]


def load_alerts(project: Project) -> AlertsSpec:
    """The alerts of a project, without channels and rules where it has no `alerts.yml`.

    Raises ConfigError with file and line of each problem, among them channels and pipelines that do not exist.
    """
    document = project.optional("alerts.yml")
    if document is None:
        return AlertsSpec()
    spec, pipelines = document.parse(AlertsSpec), project.names("pipelines")
    problems = [
        f"{document.place(('rules', index, key, position))}: no {what} '{name}'; {propose(name, known)}"
        for index, rule in enumerate(spec.rules)
        for key, what, known in (("channels", "channel", list(spec.channels)), ("pipelines", "pipeline", pipelines))
        for position, name in enumerate(getattr(rule, key))
        if name not in known
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return spec
