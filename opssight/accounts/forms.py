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
        """One place for the account and one for the address; both stay taken when it fails."""
        # as the database compares: upper case first makes one of letters that only differ below it
        email = str(self.cleaned_data.get("username", "")).strip().upper().casefold()
        address = sender_of(self.request) if self.request else ""
        subjects = [f"signin account {email}", f"signin address {address}"]
        places: list[str] = []
        try:
            for subject in subjects:
                places.append(throttle.take(subject, settings.SIGNIN_RATE))  # noqa: PERF401 - kept when one raises
        except throttle.TooMany as error:
            for place in places:  # refused unseen, so it is no attempt
                throttle.give_back(place)
            raise ValidationError(
                f"Too many attempts. Try again in {seconds(max(error.seconds, 10))}.", code="too_many"
            ) from None
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
