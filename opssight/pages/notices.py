"""Channels by which people are told, what each is told about, and what was sent lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.audit.record import record
from opssight.core.env import Env
from opssight.core.errors import Failure
from opssight.notices import manage, outbox
from opssight.notices.channels import CHANNELS
from opssight.notices.models import Channel, NoticeRule, Outbox, Severity
from opssight.web.parts import Action, Crumb, Point, Teach
from opssight.web.views import TeamPage, add_failure, one_or_404
from syncs.engine.kinds import all_kinds

SENT: Final = 25  # messages of the outbox that are listed
SEVERITIES: Final = [
    (Severity.INFO.value, "everything|Also each run that went well after one that did."),
    (
        Severity.WARNING.value,
        "what needs a look|Partial runs, approvals, connections that falter; and the end of it.",
    ),
    (
        Severity.ERROR.value,
        "failures only|Runs that failed, credentials that were refused; and the end of it.",
    ),
]
SCHEMES: Final = {
    "slack": ("Slack", "A message with a colour in a channel of yours."),
    "smtp": ("E-mail", "A short mail to one or more addresses."),
    "webhook": ("Webhook", "Signed JSON to a program of yours."),
}
TEACH: Final = Teach(
    "Hear of it before anybody asks",
    "A channel is a way to reach you: Slack, e-mail or a webhook. It is told once when something stops "
    "working and once when it works again, and nothing in between.",
    (),
    points=(
        Point("Told with the sentence", "The message says what the page says, with a link to it.", "info"),
        Point("Nothing is lost", "A message is kept until the other side took it, for up to a day.", "tick"),
        Point("No flood", "Ten failures in a row are one message, and their end another.", "filter"),
    ),
)


class ChannelForm(forms.Form):
    """A channel of one scheme, and what it is told about."""

    name = forms.CharField(label="Name", max_length=100, help_text="What people call it, such as #docs-eng.")
    topics = forms.MultipleChoiceField(
        label="Tell it about",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Nothing chosen: everything.",
    )
    severity = forms.TypedChoiceField(
        label="How much of it",
        coerce=lambda value: Severity(int(value)),
        choices=SEVERITIES,
        widget=forms.RadioSelect,
        initial=Severity.WARNING.value,
    )

    def __init__(self, scheme: str, channel: Channel | None, data: Any = None) -> None:
        super().__init__(data, initial=_initial(channel))
        self.fields["topics"].choices = topics()  # type: ignore[attr-defined]
        own = _own_fields(scheme, channel)
        self.fields = {"name": self.fields["name"], **own, **self.fields}

    def options(self) -> dict[str, Any]:
        """What `save_channel` takes as options."""
        given = self.cleaned_data
        found: dict[str, Any] = {}
        if "to" in given:
            found["to"] = [one.strip() for one in given["to"].replace("\n", ",").split(",") if one.strip()]
        if "url" in given:
            found["url"] = given["url"].strip()
        return found


def topics() -> list[tuple[str, str]]:
    made = [kind for kind in all_kinds() if not kind.in_background]
    runs = [(f"run.{kind.name}", f"runs of {kind.label.lower()}") for kind in made]
    happens = [topic for kind in made for topic in kind.notice_topics]
    return [*runs, ("connection", "connections that stop working"), *happens]


def _has_mail() -> bool:
    """Whether mail goes further than the console."""
    env: Env = settings.ENV
    return bool(env.email_url.host)


def _initial(channel: Channel | None) -> dict[str, Any]:
    if channel is None:
        return {}
    rule: NoticeRule | None = channel.rules.first()
    return {
        "name": channel.name,
        "to": ", ".join(channel.options.get("to", [])),
        "url": channel.options.get("url", ""),
        "topics": rule.topics if rule else [],
        "severity": rule.min_severity if rule else Severity.WARNING.value,
    }


def _own_fields(scheme: str, channel: Channel | None) -> dict[str, forms.Field]:
    keeps = channel is not None
    secret = forms.PasswordInput({"autocomplete": "off"})
    if scheme == "slack":
        words = "Leave it empty to keep the one it has." if keeps else "From Slack: Incoming Webhooks, Add."
        return {
            "secret": forms.CharField(
                label="Webhook address", widget=secret, required=not keeps, help_text=words
            )
        }
    if scheme == "smtp":
        return {"to": forms.CharField(label="To", help_text="Addresses, separated by commas.")}
    words = "Leave it empty to keep the one it has." if keeps else "Leave it empty to have one made."
    return {
        "url": forms.CharField(label="Address", widget=forms.URLInput({"placeholder": "https://"})),
        "secret": forms.CharField(label="Signing key", widget=secret, required=False, help_text=words),
    }


@dataclass(frozen=True)
class ChannelRow:
    channel: Channel
    scheme: str
    state: str
    word: str
    told: str
    waiting: int


class NoticesView(TeamPage):
    """What the views of channels share: only the team's own."""

    post_role = Role.ADMIN

    def channels(self) -> QuerySet[Channel]:
        return Channel.objects.filter(team_id=self.request.team.pk).order_by("name")

    @property
    def channel(self) -> Channel:
        return one_or_404(self.channels(), pk=self.kwargs["pk"])

    @property
    def may_write(self) -> bool:
        return self.principal.may(Role.ADMIN, self.request.team.pk)

    def note(self, action: str, channel: Channel, diff: dict[str, object] | None = None) -> None:
        record(action, team_id=channel.team_id, target=("channel", channel.pk, channel.name), diff=diff)


class NoticesPage(NoticesView):
    template_name = "notices/notices.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Notices")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        waiting = Count("outbox", filter=Q(outbox__delivered_at=None, outbox__gave_up_at=None))
        rules = Prefetch("rules", NoticeRule.objects.order_by("id"))
        rows = [_row(one) for one in self.channels().annotate(waiting=waiting).prefetch_related(rules)]
        sent = Outbox.objects.filter(channel__team_id=self.request.team.pk).select_related("channel")
        return super().get_context_data(
            rows=rows,
            sent=[(entry, *_sent_state(entry)) for entry in sent.order_by("-id")[:SENT]],
            may_write=self.may_write,
            adds=_adds(),
            teach=None if rows else replace(TEACH, actions=_adds() if self.may_write else ()),
            **kwargs,
        )


def _adds() -> list[Action]:
    return [Action(label, reverse("channel_new", args=[key])) for key, (label, _) in SCHEMES.items()]


def _row(channel: Any) -> ChannelRow:
    if not channel.enabled:
        state, word = "disabled", "off"
    elif channel.sentence:
        state, word = "failing", ""
    elif channel.last_ok_at:
        state, word = "delivering", ""
    else:
        state, word = "unknown", "not used yet"
    rule = next(iter(channel.rules.all()), None)
    return ChannelRow(channel, SCHEMES[channel.scheme][0], state, word, told_words(rule), channel.waiting)


def told_words(rule: NoticeRule | None) -> str:
    """What a rule tells: `runs of copy: failures only`."""
    if rule is None:
        return "nothing"
    names = dict(topics())
    what = ", ".join(names.get(topic, topic) for topic in rule.topics) or "everything"
    how = dict(SEVERITIES)[rule.min_severity].partition("|")[0]
    return f"{what}: {how}" if rule.topics or rule.min_severity != Severity.INFO else what


def _sent_state(entry: Outbox) -> tuple[str, str]:
    if entry.delivered_at is not None:
        return "done", "arrived"
    if entry.gave_up_at is not None:
        return "failed", "given up"
    return "queued", "tried again" if entry.attempts else "waits"


class ChannelPage(NoticesView):
    """Add a channel, or change it and what it is told about."""

    template_name = "notices/channel.html"
    role = Role.ADMIN

    @property
    def known(self) -> Channel | None:
        return self.channel if "pk" in self.kwargs else None

    @property
    def scheme(self) -> str:
        known = self.known
        scheme: str = known.scheme if known else self.kwargs["scheme"]
        if scheme not in CHANNELS:
            raise Http404
        return scheme

    def crumbs(self) -> Sequence[Crumb]:
        known = self.known
        return [Crumb("Notices", reverse("notices")), Crumb(known.name if known else SCHEMES[self.scheme][0])]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        known = self.known
        label, text = SCHEMES[self.scheme]
        context: dict[str, Any] = {"form": ChannelForm(self.scheme, known), "channel": known}
        context |= {"label": label, "text": text, "mail_off": self.scheme == "smtp" and not _has_mail()}
        return super().get_context_data(**{**context, **kwargs})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        known = self.known
        form = ChannelForm(self.scheme, known, request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        try:
            channel = self._save(form, known)
        except Failure as failure:
            add_failure(form, failure)
            return self.render_to_response(self.get_context_data(form=form))
        if known is None and channel.scheme == "webhook" and not form.cleaned_data["secret"]:
            response = self.render_to_response(
                self.get_context_data(channel=channel, form=None, secret=channel.secret)
            )
            response["Cache-Control"] = "no-store"
            return response
        messages.success(request, f"{channel.name} is saved. Send it a test message to be sure.")
        return HttpResponseRedirect(reverse("notices"))

    def _save(self, form: ChannelForm, known: Channel | None) -> Channel:
        given = form.cleaned_data
        with transaction.atomic():
            channel = manage.save_channel(
                known,
                team_id=self.request.team.pk,
                name=given["name"],
                scheme=self.scheme,
                secret=given.get("secret", ""),
                options=form.options(),
                enabled=known.enabled if known else True,
            )
            manage.set_rule(channel, given["topics"], given["severity"])
            diff: dict[str, object] = {
                "scheme": channel.scheme,
                "topics": ", ".join(given["topics"]),
                "severity": given["severity"].label,
            }
            if given.get("secret"):
                diff["secret"] = given["secret"]  # written down as "changed"
            self.note("channel.update" if known else "channel.create", channel, diff)
        return channel


class TestChannel(NoticesView):
    """POST: send a test message now, and say what came of it."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            messages.success(request, outbox.send_test(self.channel))
        except Failure as failure:
            messages.error(request, failure.sentence)
        return HttpResponseRedirect(reverse("notices"))


class SwitchChannel(NoticesView):
    """POST: off, or on again."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        channel = self.channel
        with transaction.atomic():
            channel.enabled = not channel.enabled
            channel.save(update_fields=["enabled"])
            self.note("channel.enable" if channel.enabled else "channel.disable", channel)
        words = "is on again." if channel.enabled else "is off: it is told nothing until it is on again."
        messages.success(request, f"{channel.name} {words}")
        return HttpResponseRedirect(reverse("notices"))


class DeleteChannel(NoticesView):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        channel = self.channel
        with transaction.atomic():
            self.note("channel.delete", channel)
            channel.delete()
        messages.success(request, f"{channel.name} is deleted; nobody is told there any more.")
        return HttpResponseRedirect(reverse("notices"))
