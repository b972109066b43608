"""Webhooks: all of them, a new one, one of them and what may be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.db.models import Count, F, Q
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from opssight.accounts.models import Role
from opssight.accounts.scope import NotAllowed
from opssight.core.errors import Failure
from opssight.core.words import count
from opssight.web.parts import Action, Crumb, Teach
from opssight.web.views import TeamPage, add_failure, one_or_404
from repos import selectors, sources, webhooks
from repos.forms import WebhookForm
from repos.inbox import LOOK_BACK
from repos.managed_webhooks import is_untold
from repos.models import Connection, Delivery, Repository, Webhook
from repos.providers.registry import provider_named, scheme_named
from repos.providers.types import Capability
from repos.views.deliveries import TEACH_POINTS, rows_of, section_tabs
from repos.views.lists import id_in, page_of
from repos.views.repository import web_address
from repos.webhook_status import is_out_of_reach, only_here

SORTS: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "heard": (F("last_delivery_at").asc(nulls_first=True), "name"),
    "-heard": (F("last_delivery_at").desc(nulls_last=True), "name"),
}


_THERE: Final = {
    Webhook.Remote.REFUSED.value: ("failed", "could not be registered"),
    Webhook.Remote.DISABLED.value: ("disabled", "switched off by the provider"),
}


def hook_state(hook: Webhook, refused: int = 0) -> tuple[str, str]:
    """Whether a webhook works, as a key of STATES and a word."""
    if hook.state == Webhook.State.PAUSED:
        return "paused", ""
    if hook.managed and hook.remote_state != Webhook.Remote.OK:
        return _THERE.get(hook.remote_state, ("pending", "not registered yet"))
    if refused:
        return "unauthentic", f"{count(refused, 'delivery', 'deliveries')} not authentic in 24 h"
    return ("delivering", "") if hook.last_delivery_at else ("pending", "nothing heard yet")


def connection_of(hook: Webhook) -> Connection | None:
    """The connection that its repositories are of; None where they may be of any."""
    return hook.repository.connection if hook.repository else hook.connection


def about(hook: Webhook) -> str:
    """Which repositories its deliveries may be about, beside those of one connection."""
    if hook.repository:
        return hook.repository.full_name
    if hook.instance_id:
        return "what the app sees, whichever team connected it"
    return "all of its repositories" if hook.connection else "every repository of the team"


@dataclass(frozen=True)
class HookRow:
    hook: Webhook
    state: str
    word: str
    label: str
    about: str
    connection: Connection | None


class WebhooksPage(TeamPage):
    """All webhooks of the team, those of one connection with `?connection=`."""

    template_name = "repos/webhooks.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Deliveries", reverse("deliveries")), Crumb("Webhooks")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        lately = Q(
            deliveries__received_at__gte=Now() - LOOK_BACK,
            deliveries__verdict=Delivery.Verdict.UNAUTHENTIC,
        )
        team = self.request.team
        chosen = id_in(self.request.GET.get("connection", ""))
        rows = selectors.webhooks(self.principal).filter(team=team)
        rows = rows.annotate(refused=Count("deliveries", filter=lately))
        if chosen:
            rows = rows.filter(Q(connection=chosen) | Q(repository__connection=chosen))
        order = SORTS.get(self.request.GET.get("sort", ""), SORTS["name"])
        page = page_of(self.request, rows.select_related("repository__connection").order_by(*order))
        may = self.principal.may(Role.ADMIN, team.pk)
        return super().get_context_data(
            page=page,
            rows=[_row(hook) for hook in page.object_list],
            chosen=chosen,
            connections=selectors.connections(self.principal).filter(team=team),
            tabs=section_tabs("webhooks"),
            may=may,
            teach=_teach(may) if page.paginator.count == 0 and not chosen else None,
            **kwargs,
        )


def _row(hook: Any) -> HookRow:
    """`hook` has `refused`, the number of its deliveries that were not authentic lately."""
    label = scheme_named(hook.scheme).label
    return HookRow(hook, *hook_state(hook, hook.refused), label, about(hook), connection_of(hook))


def _teach(may: bool) -> Teach:
    add = Action("Add a webhook", reverse("webhook_new"), icon="plus", kind="primary")
    return Teach(
        "Hear of a push within a second",
        "A webhook is an address here that your git server calls after each push. You get the address, a "
        "secret, and the exact steps to enter them there.",
        (add,) if may else (),
        points=TEACH_POINTS,
        command="opssight hook add",
    )


class NewWebhook(TeamPage):
    """A new webhook, about one repository when it is named in `?repository=`."""

    role = Role.ADMIN
    post_role = Role.ADMIN
    template_name = "repos/webhook_new.html"

    def crumbs(self) -> Sequence[Crumb]:
        parents = [Crumb("Deliveries", reverse("deliveries")), Crumb("Webhooks", reverse("webhooks"))]
        return [*parents, Crumb("New")]

    @cached_property
    def repository(self) -> Repository | None:
        given = id_in(self.request.POST.get("repository") or self.request.GET.get("repository", ""))
        if not given:
            return None
        rows = selectors.repositories(self.principal, state="all").filter(team=self.request.team)
        return one_or_404(rows, pk=given)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = WebhookForm(self.request.team, request.POST)
        if form.is_valid():
            try:
                hook, secret = self.made(form)
            except Failure as failure:
                add_failure(form, failure)
            else:
                return shown_once(self, hook, secret)
        return self.render_to_response(self.get_context_data(form=form))

    def made(self, form: WebhookForm) -> tuple[Webhook, str]:
        given = form.cleaned_data
        return webhooks.create_hook(
            self.principal,
            self.request.team,
            given["scheme"],
            name=given["name"],
            secret=given["secret"],
            connection=None if self.repository else given["connection"],
            repository=self.repository,
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or WebhookForm(self.request.team)
        return super().get_context_data(
            form=form, repository=self.repository, only_here=only_here(), **kwargs
        )


def shown_once(page: TeamPage, hook: Webhook, secret: str) -> HttpResponse:
    """The only answer that ever holds the secret: not to be kept by anybody on the way."""
    page.template_name = "repos/webhook_secret.html"
    repository = hook.repository
    address = web_address(repository) if repository else ""
    at_github = hook.scheme == "github" and urlsplit(address).hostname == "github.com"
    context = TeamPage.get_context_data(
        page,
        hook=hook,
        secret=secret,
        url=webhooks.url_of(hook),
        scheme=scheme_named(hook.scheme),
        register_at=f"{address}/settings/hooks/new" if at_github else "",
        rotating=bool(hook.previous_secret),
        only_here=only_here(),
    )
    response = page.render_to_response(context)
    add_never_cache_headers(response)
    return response


class OfWebhook(TeamPage):
    """A page of one webhook of the team."""

    post_role = Role.ADMIN

    @cached_property
    def hook(self) -> Webhook:
        rows = selectors.webhooks(self.principal).filter(team=self.request.team)
        return one_or_404(rows, pk=self.kwargs["hook_id"])

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotAllowed:
            raise Http404 from None

    def crumbs(self) -> Sequence[Crumb]:
        parents = [Crumb("Deliveries", reverse("deliveries")), Crumb("Webhooks", reverse("webhooks"))]
        return [*parents, Crumb(str(self.hook))]

    def back(self) -> HttpResponse:
        return redirect("webhook", self.hook.pk)


def there_of(hook: Webhook) -> dict[str, Any]:
    """What the page says of a webhook that OpsSight registered."""
    if not hook.managed or hook.connection is None:
        return {}
    provider = provider_named(hook.connection.provider)
    return {
        "there": provider.label,
        "tests": Capability.HOOK_TESTS in provider.capabilities and bool(hook.remote_id),
        "untold": is_untold(hook),
    }


class WebhookPage(OfWebhook):
    """One webhook: its address, how it does, what arrived last. POST renames it."""

    template_name = "repos/webhook.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        hook = self.hook
        rows = selectors.deliveries(self.principal, webhook=str(hook.pk)).filter(team=self.request.team)
        newest = list(rows[:10])
        refused = bool(newest) and newest[0].verdict == Delivery.Verdict.UNAUTHENTIC
        state, word = (
            ("unauthentic", "") if refused and hook.state == Webhook.State.ACTIVE else hook_state(hook)
        )
        return super().get_context_data(
            hook=hook,
            url=webhooks.url_of(hook),
            scheme=scheme_named(hook.scheme),
            about=about(hook),
            of=connection_of(hook),
            state=state,
            word=word,
            refused=newest[0].sentence if refused else "",
            rotating=bool(hook.previous_secret),
            **there_of(hook),
            publishes=sources.is_published(hook),
            rows=rows_of(self.principal, newest),
            only_here=is_out_of_reach(hook) and not newest,
            may=self.principal.may(Role.OPERATOR, self.request.team.pk),
            may_change=webhooks.may_change(self.principal, hook),
            **kwargs,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = request.POST.get("name", "").strip()
        if not name:
            messages.error(request, "Give the webhook a name.")
            return self.back()
        webhooks.update_hook(self.principal, self.hook, name=name)
        messages.success(request, f"The webhook is called {self.hook.name} now.")
        return self.back()


class TestWebhook(OfWebhook):
    """Send a signed delivery that asks for nothing."""

    http_method_names = ["post"]
    post_role = Role.OPERATOR

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        received = webhooks.send_test(self.principal, self.hook)
        if received.delivery is None:
            messages.error(request, received.sentence)
            return self.back()
        messages.success(request, "The test was signed, delivered and understood. It asks for nothing.")
        return redirect("delivery", received.delivery.pk)


class PauseWebhook(OfWebhook):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        paused = request.POST.get("paused") != "no"
        webhooks.update_hook(self.principal, self.hook, paused=paused)
        said = (
            "Deliveries are stored and not acted on until you resume."
            if paused
            else "Pushes are heard again."
        )
        messages.success(request, f"{self.hook} is {'paused' if paused else 'active'}. {said}")
        return self.back()
