"""Handing a message to a channel: a few tries, short pauses, and never an error that ends a run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lakeloop.core import logs
from lakeloop.core.errors import DeliveryError, DeliveryRefusedError, LakeloopError
from lakeloop.core.secrets import resolve
from lakeloop.monitoring.mail import send_email
from lakeloop.monitoring.messages import Message
from lakeloop.monitoring.post import post_slack, post_webhook
from lakeloop.monitoring.spec import Channel

log = logs.get(__name__)

PAUSES_SECONDS = (0.5, 1.0)


@dataclass
class Outbox:
    """The channels during one run. One that could not be reached is not tried again in the same run."""

    channels: dict[str, Channel]
    secrets_folder: Path | None = None
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    failures: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def send(self, name: str, message: Message) -> bool:
        """Whether the channel has taken the message; if not, `failures` says why, in words without secrets."""
        if name in self.failures:
            return False
        try:
            remark = deliver(self.channels[name], message, self.secrets_folder, self.pauses_seconds)
        except LakeloopError as error:
            self.failures[name] = str(error)
            log.warning("alert not delivered", run_id=message.run_id, channel=name, error=str(error))
            return False
        if remark:
            self.remarks[name] = remark
        log.info("alert delivered", run_id=message.run_id, channel=name, pipeline=message.pipeline, remark=remark)
        return True


def deliver(
    channel: Channel, message: Message, secrets_folder: Path | None, pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
) -> str:
    """Send one message, trying again after each pause while that may help; says what did not go well all the same.

    Raises DeliveryError of the last try, and SecretMissingError.
    """
    send = _sender(channel, message, secrets_folder)
    for pause in pauses_seconds:
        try:
            return send()
        except DeliveryRefusedError:
            raise
        except DeliveryError:
            time.sleep(pause)
    return send()


def _sender(channel: Channel, message: Message, folder: Path | None) -> Callable[[], str]:
    if (mail := channel.email) is not None:
        password = resolve(mail.password, folder) if mail.password else None
        return lambda: send_email(mail, password, message)
    if (slack := channel.slack) is not None:
        url = resolve(slack.url, folder)
        return lambda: post_slack(url, message, slack.timeout_seconds)
    hook = channel.webhook
    assert hook is not None
    header = {hook.secret_header.name: resolve(hook.secret_header.value, folder)} if hook.secret_header else {}
    key = resolve(hook.sign_with, folder) if hook.sign_with else None
    return lambda: post_webhook(hook.url, message, header, key, hook.timeout_seconds)
