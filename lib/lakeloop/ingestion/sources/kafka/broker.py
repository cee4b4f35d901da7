"""What a Kafka cluster says of its topics, and what goes wrong with it in words."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from lakeloop.core.connections import KafkaConnection
from lakeloop.core.documents import propose
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.sources.kafka.offsets import Cluster, Held, Partition

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient, TopicMetadata

NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # what a broker before 2.8 says of every topic
UNREACHABLE = "check bootstrap_servers, that the brokers are up, and that the listener speaks the protocol {protocol}"
# By the first matching name of librdkafka's errors; the most telling ones first.
REMEDIES = {
    "_AUTHENTICATION": "user or password were refused; check both, the mechanism and the secret of the connection",
    "SASL_AUTHENTICATION_FAILED": "user or password were refused; check both and the secret of the connection",
    "_SSL": "name the certificate of the authority that signed the broker's as ca_certificate, and check that the "
    "listener speaks {protocol}",
    "CLUSTER_AUTHORIZATION_FAILED": "grant user {user} DESCRIBE on the cluster",
    "_RESOLVE": "no such host; check bootstrap_servers",
    "_ALL_BROKERS_DOWN": UNREACHABLE,
    "_TRANSPORT": UNREACHABLE,
    "_TIMED_OUT": UNREACHABLE,
    "REQUEST_TIMED_OUT": UNREACHABLE,
}
FINAL = ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL")  # waiting does not mend these
LOOK_SECONDS = 2
# A cluster that fell silent, in the text of a task's failure or the driver's; the last one is the innermost cause.
FROM_KAFKA = re.compile(
    r"(?:org\.apache\.kafka\.common\.errors\.(?:Timeout|Disconnect|Network|BrokerNotAvailable)Exception: "
    r"|TimeoutException: (?=Cannot fetch record))(.+)"
)


@dataclass(frozen=True)
class Broker:
    """Asks one cluster. `name` is that of its connection."""

    name: str
    connection: KafkaConnection
    password: str | None = field(default=None, repr=False)

    def look(self, spec: KafkaSource) -> Cluster:
        """The topics that are declared, with the offsets that can be read.

        Messages of a transaction that is open, and those behind them, are not there yet. Raises SourceError for a
        cluster that cannot be asked, a topic that is missing, and one that the user may not read.
        """
        admin, there = self._topics()
        names = self._chosen(spec, sorted(there))
        ids = self._described(admin, names)
        places = [(name, number) for name in names for number in sorted(there[name].partitions)]
        firsts, ends = self._offsets(admin, places, "earliest"), self._offsets(admin, places, "latest")
        return Cluster({place: Held(firsts[place], max(firsts[place], ends[place])) for place in places}, ids)

    def since(self, places: Iterable[Partition], milliseconds: int) -> dict[Partition, int | None]:
        """The first offset at or after a moment; None where no message is so young."""
        admin, _ = self._topics()
        found = self._offsets(admin, list(places), milliseconds)
        return {place: offset if offset >= 0 else None for place, offset in found.items()}

    def explained(self, said: str) -> SourceError | None:
        """A cluster that was out of reach while Spark read, in a sentence; None: it was another failure."""
        found = FROM_KAFKA.findall(said)
        if not found:
            return None
        remedy = UNREACHABLE.format(protocol=self.connection.protocol)
        return SourceError(
            f"{self.name}: reading from Kafka at {self.connection.bootstrap_servers} failed: {found[-1].rstrip('. ')}; "
            f"{remedy}; the next run reads the same offsets"
        )

    @property
    def _seconds(self) -> float:
        return self.connection.timeout_seconds

    def _topics(self) -> "tuple[AdminClient, dict[str, TopicMetadata]]":
        """A client that has reached the cluster, and the topics that the user sees."""
        try:
            from confluent_kafka import KafkaException
        except ModuleNotFoundError as error:
            raise SourceError(
                f"{self.name}: the package confluent-kafka is missing; `pip install 'lakeloop[kafka]'`"
            ) from error
        admin, said = _client(tuple(self.connection.client_settings(self.password).items()))
        said.clear()
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                return admin, admin.list_topics(timeout=min(LOOK_SECONDS, self._seconds)).topics
            except KafkaException as error:
                admin.poll(0)  # the reason comes by the callback, the exception says only that nothing came
                if time.monotonic() > deadline or any(each.name() in FINAL for each in said):
                    _client.cache_clear()
                    raise self._explained([*said, error.args[0]]) from error

    def _chosen(self, spec: KafkaSource, there: Sequence[str]) -> list[str]:
        if spec.topic_pattern is not None:
            return [name for name in there if re.fullmatch(spec.topic_pattern, name) and not name.startswith("__")]
        if missing := [name for name in spec.topics if name not in there]:
            seen = [name for name in there if not name.startswith("__")]
            who = f"user {self.connection.user}" if self.connection.user else "everybody"
            hint = propose(missing[0], seen) if seen else f"{who} sees no topic at all"
            raise SourceError(
                f"{self.name}: no topic {', '.join(missing)} on {self.connection.bootstrap_servers}, or {who} has no "
                f"right to DESCRIBE it; {hint}"
            )
        return list(spec.topics)

    def _described(self, admin: "AdminClient", names: Sequence[str]) -> dict[str, str]:
        """The ids of topics. Raises SourceError for one that the user may not read."""
        from confluent_kafka import TopicCollection
        from confluent_kafka.admin import AclOperation

        if not names:
            return {}
        asked = admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=self._seconds
        )
        found = {name: self._result(asked[name], name) for name in names}
        for name, topic in found.items():
            allowed = topic.authorized_operations
            if allowed is not None and not {AclOperation.READ, AclOperation.ALL} & set(allowed):
                raise self._forbidden(name)
        ids = {name: str(topic.topic_id) for name, topic in found.items()}
        return {name: id_ for name, id_ in ids.items() if id_ != NO_ID}

    def _offsets(self, admin: "AdminClient", places: Sequence[Partition], what: str | int) -> dict[Partition, int]:
        from confluent_kafka import IsolationLevel, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        if not places:
            return {}
        wanted = getattr(OffsetSpec, what)() if isinstance(what, str) else OffsetSpec.for_timestamp(what)
        asked: Mapping[Any, Future[Any]] = admin.list_offsets(
            {TopicPartition(*place): wanted for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._seconds,
        )
        return {(key.topic, key.partition): self._result(found, key.topic).offset for key, found in asked.items()}

    def _result(self, found: "Future[Any]", topic: str) -> Any:
        from confluent_kafka import KafkaException

        try:
            return found.result(self._seconds + 5)
        except KafkaException as error:
            if error.args[0].name() == "TOPIC_AUTHORIZATION_FAILED":
                raise self._forbidden(topic) from error
            raise self._explained([error.args[0]]) from error

    def _forbidden(self, topic: str) -> SourceError:
        user = self.connection.user or "ANONYMOUS"
        return SourceError(
            f"{self.name}: user {user} may not read the topic {topic}; grant it, as by `kafka-acls.sh --add "
            f"--allow-principal User:{user} --operation Read --topic {topic}`"
        )

    def _explained(self, said: "Sequence[KafkaError]") -> SourceError:
        by_name = {error.name(): error.str() for error in reversed(said)}
        name = next((each for each in REMEDIES if each in by_name), next(iter(by_name)))
        remedy = REMEDIES.get(name, "see the broker's log").format(
            protocol=self.connection.protocol, user=self.connection.user or "ANONYMOUS"
        )
        text = re.sub(r"\s+", " ", by_name[name])[:300].rstrip(". ")
        return SourceError(f"{self.name}: Kafka at {self.connection.bootstrap_servers}: {text}; {remedy}")


@cache
def _client(settings: tuple[tuple[str, Any], ...]) -> "tuple[AdminClient, list[KafkaError]]":
    """A client and the errors it tells, kept until it reaches no cluster: to connect takes longer than to ask."""
    from confluent_kafka.admin import AdminClient

    said: list[KafkaError] = []
    return AdminClient(dict(settings) | {"error_cb": said.append, "log_level": 0}), said
