"""The networks that a webhook takes deliveries from."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from opssight.core.errors import Failure
from opssight.core.words import count
from repos import sources, webhooks
from repos.providers.registry import scheme_named
from repos.views.webhooks import OfWebhook


class HookSources(OfWebhook):
    """POST `sources`, a network in each line (none: from anywhere), or `published` for the sender's own."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wanted = self.published() if "published" in request.POST else request.POST.get("sources", "").split()
        if wanted is not None:
            self.save(wanted)
        return self.back()

    def published(self) -> list[str] | None:
        sender = scheme_named(self.hook.scheme).label
        answer = sources.published_soon(self.hook.scheme)
        if answer.pending:
            messages.info(self.request, f"{sender} is being asked. Press the button again in a moment.")
        elif answer.value is None:
            messages.error(self.request, answer.sentence)
        return answer.value

    def save(self, wanted: list[str]) -> None:
        try:
            hook = webhooks.update_hook(self.principal, self.hook, allowed_sources=wanted)
        except Failure as failure:
            messages.error(self.request, failure.sentence)
            return
        number = len(hook.allowed_sources)
        where = f"from {count(number, 'network')} only" if number else "from anywhere, if the signature fits"
        messages.success(self.request, f"Deliveries are taken {where}.")
