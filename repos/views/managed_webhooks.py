"""What changes a webhook at its sender too; the provider of a registered one is asked beside the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from opssight.accounts.models import Role
from opssight.core.errors import Conflict
from repos import managed_webhooks
from repos.beside import Answer, ask, forget
from repos.models import Webhook
from repos.views.webhooks import OfWebhook, shown_once


def asked(hook: Webhook, what: str, question: Callable[[], str]) -> Answer[str]:
    """The provider's answer, as a sentence of what went wrong or ""; waited for, but not for long."""
    key = ("hook", what, hook.pk)
    forget(key)
    return ask(key, 0.0, question, owner=hook.team_id, wait=managed_webhooks.WAIT_SECONDS)


def mended(hook: Webhook) -> str:
    managed_webhooks.mend(hook)
    return ""


def tested(hook: Webhook) -> str:
    managed_webhooks.ask_for_test(hook)
    return ""


class _AtProvider(OfWebhook):
    """Asks the provider, says how it went, and goes back to the page of the webhook."""

    http_method_names = ["post"]

    def say(self, answer: Answer[str], done: str) -> HttpResponse:
        said = answer.value or answer.sentence
        if answer.pending:
            messages.warning(self.request, "The provider has not answered yet. Look again in a moment.")
        elif said:
            messages.error(self.request, said)
        else:
            messages.success(self.request, done)
        return self.back()


class MendWebhook(_AtProvider):
    """Make it what it should be, there, now."""

    post_role = Role.OPERATOR

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        return self.say(asked(hook, "mend", lambda: mended(hook)), f"{hook} is registered as it should be.")


class AskForTest(_AtProvider):
    """Have the provider send a test, which arrives like any other delivery."""

    post_role = Role.OPERATOR

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        done = "The provider sends a test. It is listed below once it has arrived."
        return self.say(asked(hook, "test", lambda: tested(hook)), done)


class RotateSecret(_AtProvider):
    """A new secret beside the old one (`end`: from now on only the new one counts).

    Nobody has to enter that of a registered webhook: the provider is told.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        if "end" in request.POST:
            managed_webhooks.end_rotation(self.principal, hook)
            messages.success(request, "Only the new secret counts now.")
            return self.back()
        try:
            secret = managed_webhooks.rotate(self.principal, hook)
        except Conflict as failure:
            messages.error(request, failure.sentence)
            return self.back()
        if not hook.managed:
            return shown_once(self, hook, secret)
        done = "The provider has the new secret. The former one counts for 24 h more."
        return self.say(asked(hook, "mend", lambda: mended(hook)), done)


class DeleteWebhook(OfWebhook):
    """A registered webhook is taken away at the provider first."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        stays = managed_webhooks.delete(self.principal, hook)
        if stays:
            messages.warning(request, f"{hook} is deleted here and may still be at the provider. {stays}")
        elif hook.managed:
            messages.success(request, f"{hook} is deleted here and at the provider.")
        else:
            messages.success(request, f"{hook} is deleted. Remove it at the sender as well.")
        return redirect("webhooks")
