"""What may be done with a webhook that OpsSight registered; the provider is asked beside the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from opssight.accounts.models import Role
from repos import hooks, webhooks
from repos.beside import Answer, ask, forget
from repos.models import Webhook
from repos.views import webhooks as views
from repos.views.webhooks import OfWebhook

WAIT_SECONDS: Final = 10.0


def asked(hook: Webhook, what: str, question: Callable[[], str]) -> Answer[str]:
    """The provider's answer, as a sentence of what went wrong or ""; waited for, but not for long."""
    key = ("hook", what, hook.pk)
    forget(key)
    return ask(key, 0.0, question, wait=WAIT_SECONDS)


def mended(hook: Webhook) -> str:
    hooks.mend(hook)
    return ""


def tested(hook: Webhook) -> str:
    hooks.ask_for_test(hook)
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


class RotateSecret(views.RotateSecret, _AtProvider):
    """Nobody has to enter the new secret of a registered webhook: the provider is told."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        if not hook.managed or "end" in request.POST:
            return super().post(request, *args, **kwargs)
        hooks.rotate(self.principal, hook)
        done = "The provider has the new secret. The former one counts for 24 h more."
        return self.say(asked(hook, "mend", lambda: mended(hook)), done)


class DeleteWebhook(views.DeleteWebhook):
    """A registered webhook is taken away at the provider first."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hook = self.hook
        if not hook.managed:
            return super().post(request, *args, **kwargs)
        answer = asked(hook, "remove", lambda: hooks.remove_there(hook))
        webhooks.delete_hook(self.principal, hook)
        stays = answer.value or answer.sentence
        if stays or answer.pending:
            said = f"{hook} is deleted here and may still be at the provider. {stays}"
            messages.warning(request, said.strip())
        else:
            messages.success(request, f"{hook} is deleted here and at the provider.")
        return redirect("webhooks")
