"""A Kafka cluster, and the one place where its settings become those of Spark and of confluent-kafka."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.core.errors import ConfigError
from lakeloop.core.secrets import SecretReference

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
LOGIN_MODULES = {"PLAIN": "plain.PlainLoginModule"}
SCRAM_MODULE = "scram.ScramLoginModule"


class KafkaConnection(Declaration):
    """A Kafka cluster."""

    bootstrap_servers: str = Field(
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$", description="host:port, several parted by commas"
    )
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = Field(default=None, description="How a user proves who they are; SCRAM-SHA-512")
    user: str | None = None
    password: SecretReference | None = None
    ca_certificate: str | None = Field(
        default=None, description="PEM file of the authority to trust instead of the machine's"
    )
    timeout_seconds: float = Field(default=30, gt=0, description="How long the cluster may take to answer")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.protocol.startswith("SASL_") != (self.user is not None) or (self.user is None) != (
            self.password is None
        ):
            text = "user and password belong to protocol SASL_SSL or SASL_PLAINTEXT, and these need both"
            raise PydanticCustomError("kafka", text)
        if self.mechanism is not None and self.user is None:
            raise PydanticCustomError("kafka", "mechanism belongs to protocol SASL_SSL or SASL_PLAINTEXT")
        if self.ca_certificate is not None and not self.is_encrypted:
            raise PydanticCustomError("kafka", "ca_certificate belongs to protocol SSL or SASL_SSL")
        return self

    @property
    def secrets(self) -> list[SecretReference]:
        """What must have a value before the cluster can be reached."""
        return [] if self.password is None else [self.password]

    @property
    def is_encrypted(self) -> bool:
        """Whether what goes over the line is encrypted."""
        return self.protocol.endswith("SSL")

    def client_settings(self, password: str | None) -> dict[str, str | int | float | bool]:
        """Settings of confluent-kafka. Raises ConfigError where the certificate cannot be read."""
        settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.protocol,
            "socket.connection.setup.timeout.ms": int(self.timeout_seconds * 1000),
        }
        if self.user is not None:
            settings |= {"sasl.mechanism": self._mechanism, "sasl.username": self.user, "sasl.password": password or ""}
        if (certificate := self._certificate()) is not None:
            settings["ssl.ca.pem"] = certificate
        return settings

    def spark_options(self, password: str | None) -> dict[str, str]:
        """Options of Spark's Kafka source, which reach its executors; the certificate goes with them as text."""
        options = {"kafka.bootstrap.servers": self.bootstrap_servers, "kafka.security.protocol": self.protocol}
        if self.user is not None:
            module = f"org.apache.kafka.common.security.{LOGIN_MODULES.get(self._mechanism, SCRAM_MODULE)}"
            given = f'username="{_escaped(self.user)}" password="{_escaped(password or "")}"'
            options["kafka.sasl.mechanism"] = self._mechanism
            options["kafka.sasl.jaas.config"] = f"{module} required {given};"
        if (certificate := self._certificate()) is not None:
            options |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.certificates": certificate}
        return options

    @property
    def _mechanism(self) -> str:
        return self.mechanism or "SCRAM-SHA-512"

    def _certificate(self) -> str | None:
        if self.ca_certificate is None:
            return None
        try:
            return Path(self.ca_certificate).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"ca_certificate {self.ca_certificate} cannot be read as a PEM file: {error}; name the certificate of "
                "the authority that signed the broker's"
            ) from error


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
