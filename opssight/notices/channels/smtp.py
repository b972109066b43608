"""Mail, through the mail server of the installation (`OPSSIGHT_EMAIL_URL`)."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from opssight.core.errors import AuthFailure, Failure, PermanentFailure, TransientFailure
from opssight.notices.message import Message
from opssight.notices.models import Channel


def problems(secret: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    addresses = options.get("to")
    if not isinstance(addresses, list) or not addresses:
        return [("to", "Give at least one e-mail address.")]
    found = []
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            found.append(("to", f"{address!r} is not an e-mail address."))
    return found


def send(channel: Channel, message_id: str, message: Message) -> None:
    """Send one mail to all addresses. Its Message-ID stays the same when it is sent again."""
    mail = EmailMessage(
        subject=f"[OpsSight] {' '.join(message.title.split())}",
        body=body(message),
        to=channel.options["to"],
        headers={"Message-ID": f"<{message_id}@opssight>", "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        raise _failure(error) from None


def body(message: Message) -> str:
    lines = [message.sentence, ""]
    lines += [f"{label}: {value}" for label, value in message.fields]
    lines += ["", message.url] if message.url else []
    return "\n".join(lines).strip() + "\n"


def _failure(error: Exception) -> Failure:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return AuthFailure("The mail server refused the sign-in: check OPSSIGHT_EMAIL_URL.")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        refused = ", ".join(sorted(error.recipients))
        codes = [code for code, _ in error.recipients.values()]
        if all(code >= 500 for code in codes):
            return PermanentFailure(f"The mail server does not deliver to {refused}: check the address.")
        return TransientFailure(f"The mail server does not deliver to {refused} just now.")
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500:
        return PermanentFailure(f"The mail server refused the mail (code {error.smtp_code}).")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return PermanentFailure("The mail server does not offer what OPSSIGHT_EMAIL_URL asks for.")
    return TransientFailure("The mail server could not be reached or ended the connection.")
