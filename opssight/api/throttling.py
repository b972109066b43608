"""A ceiling of requests for one token or user, counted for all processes in the shared cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from opssight.accounts.scope import Principal

if TYPE_CHECKING:  # DRF imports this module while its views load
    from rest_framework.views import APIView


class PrincipalThrottle(BaseThrottle):
    """Counts in windows of fixed length; the wait is until the next one begins."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        rate = settings.API_RATE
        window = int(time.time() // rate.seconds)
        self._until = (window + 1) * rate.seconds
        key = f"api:{self._who(request)}:{window}"
        cache.add(key, 0, rate.seconds)
        try:
            return cache.incr(key) <= rate.count
        except ValueError:  # the window ended between the two
            return True

    def wait(self) -> float:
        return max(self._until - time.time(), 1.0)

    def _who(self, request: Request) -> str:
        principal = request.auth
        if not isinstance(principal, Principal):
            return f"address:{self.get_ident(request)}"
        return f"token:{principal.token.pk}" if principal.token else f"user:{principal.user.pk}"
