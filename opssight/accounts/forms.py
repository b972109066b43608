"""The forms of signing in and of one's own password."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from opssight.accounts import throttle
from opssight.core.words import seconds


class SigninForm(AuthenticationForm):
    """E-mail and password; slow for whoever guesses, per account and per address."""

    error_messages = {
        "invalid_login": "The e-mail address or the password is not right.",
        "inactive": "This account is switched off. Ask an administrator.",
    }

    def clean(self) -> dict[str, Any]:
        places = self._take_places()
        cleaned = super().clean()
        for place in places:
            throttle.give_back(place)
        return cleaned

    def _take_places(self) -> list[str]:
        address = sender_of(self.request) if self.request else ""
        try:
            return take_places(str(self.cleaned_data.get("username", "")), address)
        except throttle.TooMany as error:
            raise ValidationError(
                f"Too many attempts. Try again in {seconds(max(error.seconds, 10))}.", code="too_many"
            ) from None


def take_places(email: str, sender: str) -> list[str]:
    """A place for the account and one for the sender; both stay taken when the password is wrong.

    Raises throttle.TooMany.
    """
    # as the database compares: upper case first makes one of letters that only differ below it
    account = email.strip().upper().casefold()
    subjects = [f"signin account {account}", f"signin address {sender}"]
    places: list[str] = []
    try:
        for subject in subjects:
            places.append(throttle.take(subject, settings.SIGNIN_RATE))  # noqa: PERF401 - kept when one raises
    except throttle.TooMany:
        for place in places:  # refused unseen, so it is no attempt
            throttle.give_back(place)
        raise
    return places


def sender_of(request: HttpRequest) -> str:
    """Who sends a request, as attempts are counted."""
    return _network(request.META.get("REMOTE_ADDR", ""))


def _network(address: str) -> str:
    """The address, or of an IPv6 address the network, within which one sender has all addresses."""
    try:
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    except ValueError:
        return address
