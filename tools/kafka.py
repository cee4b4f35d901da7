"""A real Kafka broker on this machine: KRaft, one node, on loopback, with an open listener and a guarded one.

`make kafka` runs it until Ctrl-C; tests use `with KafkaBroker() as broker:`.
"""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from lakeloop.core.errors import LakeloopError
from lakeloop.core.java import ensure_java
from tools.certificates import write_certificates
from tools.cluster import HOST, SPARK_HOME, free_ports
from tools.until_stopped import until_stopped

VERSION = "4.1.0"
# Not by spark.jars.packages, which leaves Scala's own library out.
DEPENDENCIES = f"""<ivy-module version="2.0">
  <info organisation="lakeloop" module="broker"/>
  <dependencies>
    <dependency org="org.apache.kafka" name="kafka_2.13" rev="{VERSION}" conf="default"/>
    <dependency org="org.apache.logging.log4j" name="log4j-slf4j-impl" rev="2.24.3" conf="default"/>
  </dependencies>
</ivy-module>
"""
JARS = Path.home() / ".ivy2" / f"kafka-{VERSION}"
CLUSTER = "bGFrZWxvb3Atb24tbG9vcA"  # 22 characters of base64url, as Kafka's storage tool wants it
MEMORY = ("-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
READY_SECONDS = 60
STOP_SECONDS = 5
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=OPEN://{host}:{open},GUARDED://{host}:{guarded},BEHIND://{host}:{behind},CONTROLLER://{host}:{controller}
advertised.listeners=OPEN://{host}:{open},GUARDED://{host}:{guarded},BEHIND://{host}:{proxy}
listener.security.protocol.map=OPEN:PLAINTEXT,GUARDED:SASL_SSL,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OPEN
controller.listener.names=CONTROLLER
log.dirs={folder}/data
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
# Whoever comes by the open listener may do everything; the guarded one knows users.
super.users=User:ANONYMOUS;User:admin
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.guarded.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.guarded.ssl.keystore.type=PEM
listener.name.guarded.ssl.keystore.location={folder}/server.pem
auto.create.topics.enable=false
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
message.max.bytes=20971520
"""


class KafkaBroker:
    """Starts on entry, ready when it answers; on exit it stops the process it started, and only that.

    Attributes:
        bootstrap: The open listener, where nobody is asked who they are.
        guarded: The listener of SASL_SSL with SCRAM-SHA-512, where `add_user` and `allow` say who may do what.
        behind_port: The port of a listener that tells clients to come by `proxy_port`, where there is one.
        ca_certificate: The authority that signed the certificate of `guarded`.
        folder: Data, certificates and the broker's log; a temporary folder, gone on exit.
    """

    def __init__(self, proxy_port: int | None = None) -> None:
        ports = dict(zip(("open", "guarded", "behind", "controller"), free_ports(4), strict=True))
        self.behind_port = ports["behind"]
        ports["proxy"] = proxy_port or self.behind_port
        self.bootstrap, self.guarded = f"{HOST}:{ports['open']}", f"{HOST}:{ports['guarded']}"
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Raises LakeloopError where the jars cannot be had or the broker does not start, with the end of its log."""
        ensure_java()
        jars = fetch_jars()
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lakeloop-kafka-")))
            self.ca_certificate = self.folder / "ca.pem"
            write_certificates(self.ca_certificate, self.folder / "server.pem", HOST)
            properties = PROPERTIES.format(host=HOST, folder=self.folder, **self._ports)
            (self.folder / "server.properties").write_text(properties)
            java = str(Path(os.environ["JAVA_HOME"], "bin/java"))
            self._java = [java, *MEMORY, "-Dorg.apache.logging.log4j.level=WARN", "-cp", f"{jars}/*"]
            self._run("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c")
            stack.callback(self.stop)
            self.start()
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def admin(self) -> AdminClient:
        """An administrator by the open listener; keep it until its futures have results."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def start(self) -> None:
        """Start the broker on its data, and wait until it answers."""
        with (self.folder / "broker.log").open("ab") as log:
            # A session of its own, so that Ctrl-C in the terminal reaches this program alone, which then stops it.
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline, admin = time.monotonic() + READY_SECONDS, self.admin
        while True:
            with suppress(KafkaException):
                admin.list_topics(timeout=1)
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = "\n".join((self.folder / "broker.log").read_text(errors="replace").splitlines()[-15:])
                raise LakeloopError(f"The broker did not start. Its log ends:\n{end}")

    def kill(self) -> None:
        """End the broker as a power cut would; `start` brings it back on the same data."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the broker; nothing happens where it has ended."""
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
                return

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """A new topic, ready when this returns; `config` has underscores where Kafka has dots."""
        admin = self.admin
        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(30)
        while name not in admin.list_topics(timeout=10).topics:
            time.sleep(0.05)

    def delete_topic(self, name: str) -> None:
        """Delete a topic, gone when this returns."""
        admin = self.admin
        admin.delete_topics([name])[name].result(30)
        while name in admin.list_topics(timeout=10).topics:
            time.sleep(0.05)

    def add_user(self, name: str, password: str) -> None:
        """A user of the guarded listener, who may do nothing yet."""
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        admin = self.admin
        wanted: list[UserScramCredentialAlteration] = [UserScramCredentialUpsertion(name, scram, password.encode())]
        admin.alter_user_scram_credentials(wanted)[name].result(30)

    def allow(self, user: str, operation: str, topic: str) -> None:
        """Let a user READ, WRITE or DESCRIBE a topic."""
        acl = AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*",
            AclOperation[operation], AclPermissionType.ALLOW,
        )  # fmt: skip
        admin = self.admin
        admin.create_acls([acl])[acl].result(30)

    def _run(self, *command: str) -> None:
        whole = [*self._java, *command, str(self.folder / "server.properties")]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LakeloopError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def fetch_jars() -> Path:
    """The folder with the broker's jars, fetched from Maven Central the first time by the Ivy that Spark brings."""
    if not JARS.is_dir():
        JARS.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=JARS.parent, ignore_cleanup_errors=True) as folder:
            _retrieve(Path(folder))
            try:
                Path(folder).rename(JARS)
            except OSError:
                if not JARS.is_dir():  # else another process was first
                    raise
    return JARS


def _retrieve(folder: Path) -> None:
    (folder / "ivy.xml").write_text(DEPENDENCIES)
    (ivy,) = (SPARK_HOME / "jars").glob("ivy-*.jar")
    command = [str(Path(os.environ["JAVA_HOME"], "bin/java")), "-jar", str(ivy), "-ivy", str(folder / "ivy.xml")]
    pattern = f"{folder}/[organisation]_[artifact]-[revision].[ext]"
    done = subprocess.run(
        [*command, "-retrieve", pattern, "-types", "jar", "bundle"], capture_output=True, text=True, check=False
    )
    if done.returncode or not list(folder.glob("org.apache.kafka_kafka_2.13-*.jar")):
        raise LakeloopError(
            f"The jars of Kafka {VERSION} cannot be fetched from Maven Central, and are not in {JARS}: check the "
            f"network, then try again. Ivy's lines end:\n{done.stdout[-800:]}"
        )


def main() -> None:
    """Run a broker until Ctrl-C or a terminate signal."""
    password = os.environ.get("LAKELOOP_SECRET_KAFKA_PASSWORD", "letmein")
    with until_stopped(), KafkaBroker() as broker:
        broker.add_user("admin", password)
        print(
            f"open     {broker.bootstrap}\nguarded  {broker.guarded} (user admin)\n"
            f"log      {broker.folder}/broker.log"
            f"\n\nIn connections.yml:\n\nevents:\n  kafka:\n    bootstrap_servers: {broker.guarded}\n"
            f"    protocol: SASL_SSL\n    mechanism: SCRAM-SHA-512\n    user: admin\n"
            f"    password: ${{secret:kafka_password}}\n    ca_certificate: {broker.ca_certificate}\n\n"
            f"or, without users:\n\nevents:\n  kafka: {{bootstrap_servers: '{broker.bootstrap}'}}\n\n"
            "The password is that of LAKELOOP_SECRET_KAFKA_PASSWORD, else letmein. Ctrl-C stops it.",
            flush=True,
        )
        signal.pause()


if __name__ == "__main__":
    main()
