"""Messages by e-mail."""

import smtplib
import ssl
from collections.abc import Mapping
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from lakeloop.core.errors import DeliveryError, DeliveryRefusedError
from lakeloop.monitoring.messages import Message
from lakeloop.monitoring.spec import EmailChannel


def send_email(channel: EmailChannel, password: str | None, message: Message) -> str:
    """Send a message to all recipients of a channel; says which of them the server refused, if it took others.

    Raises DeliveryRefusedError when the server refuses user, sender or all recipients for good, else DeliveryError.
    """
    try:
        with _connected(channel) as server:
            if channel.user is not None and password is not None:
                server.login(channel.user, password)
            refused = server.send_message(compose(channel, message))
    except smtplib.SMTPResponseException as error:  # its text is the server's, so only the code is told
        kind = DeliveryRefusedError if error.smtp_code >= 500 else DeliveryError
        raise kind(f"the mail server answered {error.smtp_code} ({type(error).__name__})") from None
    except smtplib.SMTPRecipientsRefused as error:
        lasting = all(code >= 500 for code, _ in error.recipients.values())
        raise (DeliveryRefusedError if lasting else DeliveryError)(_refused(error.recipients)) from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryRefusedError("the mail server offers no STARTTLS, or no way to log in") from None
    except (TimeoutError, smtplib.SMTPServerDisconnected):
        raise DeliveryError(
            f"the mail server hung up, or gave no answer within {channel.timeout_seconds:g} s"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise DeliveryRefusedError(f"the mail server's certificate is not trusted: {error.verify_message}") from None
    except UnicodeEncodeError:
        raise DeliveryRefusedError(
            "user or password hold characters other than ASCII, which SMTP does not take"
        ) from None
    except OSError as error:
        raise DeliveryError(f"no mail could be sent ({type(error).__name__})") from None
    return _refused(refused) if refused else ""


def compose(channel: EmailChannel, message: Message) -> EmailMessage:
    """The e-mail itself, in plain text."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@{channel.sender.rpartition('@')[2]}>"  # a mail sent twice is shown once
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.as_text())
    return mail


def _connected(channel: EmailChannel) -> smtplib.SMTP:
    if channel.tls == "none":
        return smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_seconds)
    trusted = ssl.create_default_context(cafile=channel.ca_file)
    if channel.tls == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=channel.timeout_seconds, context=trusted)
    server = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_seconds)
    try:
        server.starttls(context=trusted)
    except BaseException:
        server.close()
        raise
    return server


def _refused(recipients: Mapping[str, object]) -> str:
    return f"the mail server refuses {', '.join(sorted(recipients))}"
