"""A look at a cluster: the topics that are declared, and how many messages can be read of them."""

from collections.abc import Iterator

from lakeloop.ingestion.source_specs import KafkaSource
from lakeloop.ingestion.sources.kafka.broker import Broker
from lakeloop.ingestion.sources.probing import Check


def probe_cluster(broker: Broker, spec: KafkaSource) -> Iterator[Check]:
    """The checks of `Probed.probe`. A topic has no columns of its own: those that are declared are said."""
    cluster = broker.look(spec)
    topics = sorted({topic for topic, _ in cluster.held})
    yield Check("reachable", broker.connection.bootstrap_servers)
    if not topics:
        yield Check("volume", f"no topic matches {spec.topic_pattern} yet")
        return
    yield Check("permitted", f"{', '.join(topics)} can be read")
    yield Check("schema", f"{len(spec.columns)} declared columns: {', '.join(spec.columns)}")
    messages = sum(held.end - held.first for held in cluster.held.values())
    yield Check("volume", f"{messages:,} messages in {len(cluster.held):,} partitions")
