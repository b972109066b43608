"""Whom a delivery is about, and the events that it becomes.

A repository is known by the provider's id first: a name may have been given to another one since. Where
only the name fits, the row belongs to a provider that knows no such id (`plain`, `folder`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from repos import events
from repos.events import Event
from repos.models import Connection, Delivery, Repository, Webhook
from repos.providers.types import InstallationNews, Parsed, PipelineNews, PullNews, Push, RepositoryNews

_MOST_REPOSITORIES = 50  # of one name, in several connections of the team
_MOST_CONNECTIONS = 20
_SHOWN_NAME, _SHOWN_REF = 60, 120  # characters of a sentence
_MOST_APPEARED = 200  # in one delivery; a refresh of the inventory finds more
_NEW = ("created", "transferred")


@dataclass(frozen=True)
class Heard:
    """What a delivery is about.

    `told`: repositories that hear of its pushes; `same`: those that are the very one it names, by id.
    `connections`: those that may see a repository they did not see before.
    """

    told: tuple[uuid.UUID, ...]
    same: tuple[uuid.UUID, ...]
    connections: tuple[uuid.UUID, ...] = ()
    team_id: uuid.UUID | None = None  # whose it is, where the webhook's team is not the one
    wanted: bool = True
    sentence: str = ""

    @property
    def repository_id(self) -> uuid.UUID | None:
        return next(iter(self.told or self.same), None)


def names_of(parsed: Parsed) -> list[str]:
    """The names of the events it is understood as, whether or not the repository is known."""
    pushed = [events.Pushed.__name__] * len(parsed.pushes)
    return pushed + [_NAMES[type(news)] for news in parsed.news]


_NAMES = {
    RepositoryNews: events.RepositoryChanged.__name__,
    PullNews: events.PullRequestChanged.__name__,
    PipelineNews: events.PipelineChanged.__name__,
    InstallationNews: events.InstallationChanged.__name__,
}


def told_of(parsed: Parsed) -> str:
    """What moved, to which commit and by whom, in one sentence; "" for a delivery that is about no push."""
    push = next(iter(parsed.pushes), None)
    if push is None or not push.ref:
        return ""
    by = f" by {push.by[:_SHOWN_NAME]}" if push.by else ""
    if len(parsed.pushes) > 1:
        return f"{len(parsed.pushes)} branches and tags were pushed{by}."
    name = push.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")[:_SHOWN_REF]
    if push.after and not push.after.strip("0"):
        return f"{name} was deleted{by}."
    at = f" and is at {push.after[:7]} now" if push.after else ""
    return f"{name} was pushed{by}{at}."


def heard_of(hook: Webhook, parsed: Parsed) -> Heard:
    """Whom the delivery is about. At most three queries."""
    heard = _bound(hook, parsed) if hook.repository_id else _named(hook, parsed)
    if hook.instance_id:
        heard = _of_app(hook, parsed, heard)
    if not heard.wanted:
        return heard
    if any(isinstance(news, InstallationNews) for news in parsed.news):
        return replace(heard, connections=tuple(_installed(hook, parsed)))
    if any(isinstance(news, RepositoryNews) and news.what in _NEW for news in parsed.news):
        return replace(heard, connections=_seeing(hook, parsed))
    if heard.told:
        return heard
    name = parsed.repository_name or "that"
    unknown = f"No repository here is called {name}. Import it, or bind the webhook to one."
    return replace(heard, sentence=f"{name} is ignored here." if heard.same else unknown)


def _of_app(hook: Webhook, parsed: Parsed, heard: Heard) -> Heard:
    """One webhook of a GitHub App hears of all installations, each of which may be another team's."""
    team_id = next(iter(_installed(hook, parsed).values()), None)
    if team_id is not None:
        return replace(heard, team_id=team_id)
    return replace(heard, wanted=False, sentence=_of_no_connection(parsed))


def _of_no_connection(parsed: Parsed) -> str:
    """What is new at GitHub comes before anybody could connect it here; else nobody has."""
    if any(isinstance(news, InstallationNews) and news.what == "added" for news in parsed.news):
        return "The app was installed. This came before it was connected here, so there was nothing to do."
    return "No connection here was made from this installation of the app."


def _bound(hook: Webhook, parsed: Parsed) -> Heard:
    """The bound repository, whatever name the sender uses."""
    row = hook.repository
    assert row is not None  # noqa: S101 - asked for by who calls
    named = parsed.repository_id in ("", row.external_id) or row.external_id in _former_ids(parsed)
    same = named and row.connection.provider == hook.scheme
    return Heard(told=(row.pk,), same=(row.pk,) if same else ())


def _named(hook: Webhook, parsed: Parsed) -> Heard:
    rows = _scope(hook, parsed).select_related("connection").only(
        "external_id", "web_url", "state", "connection__provider"
    )  # fmt: skip
    ids = [parsed.repository_id, *_former_ids(parsed)]
    by_id = Q(external_id__in=[one for one in ids if one], connection__provider=hook.scheme)
    # where the sender's ids are known, a row of the same name and another id is another repository
    by_name = ~Q(connection__provider=hook.scheme) if parsed.repository_id else Q()
    found = list(rows.filter(by_id | Q(full_name=parsed.repository_name) & by_name)[:_MOST_REPOSITORIES])
    if not found and parsed.repository_name:
        named = rows.filter(by_name, full_name__iexact=parsed.repository_name)
        found = list(named[:_MOST_REPOSITORIES])
    found = [row for row in found if _is_on_the_same_host(row, hook, parsed)]
    ignored = Repository.State.IGNORED
    return Heard(
        told=tuple(row.pk for row in found if row.state != ignored),
        same=tuple(row.pk for row in found if row.connection.provider == hook.scheme),
    )


def _scope(hook: Webhook, parsed: Parsed) -> QuerySet[Repository]:
    """The repositories that this webhook may speak about."""
    if hook.instance_id:
        return Repository.objects.filter(connection__in=_installations(hook, parsed)).order_by("id")
    rows = Repository.objects.filter(team_id=hook.team_id).order_by("id")
    return rows.filter(connection_id=hook.connection_id) if hook.connection_id else rows


def _former_ids(parsed: Parsed) -> list[str]:
    return [news.former_id for news in parsed.news if isinstance(news, RepositoryNews)]


def _is_on_the_same_host(row: Repository, hook: Webhook, parsed: Parsed) -> bool:
    """Two servers of one kind count their repositories by the same numbers."""
    if hook.connection_id or row.connection.provider != hook.scheme:
        return True
    here, there = _host(row.web_url), _host(parsed.repository_url)
    return not here or not there or here == there


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _seeing(hook: Webhook, parsed: Parsed) -> tuple[uuid.UUID, ...]:
    """The connections of the webhook that may see what is new at the sender."""
    if hook.repository is not None:
        return (hook.repository.connection_id,)
    if hook.connection_id is not None:
        return (hook.connection_id,)
    if hook.instance_id is not None:
        return tuple(_installed(hook, parsed))
    rows = Connection.objects.filter(team_id=hook.team_id, provider=hook.scheme).order_by("id")
    return tuple(rows.values_list("pk", flat=True)[:_MOST_CONNECTIONS])


def _installed(hook: Webhook, parsed: Parsed) -> dict[uuid.UUID, uuid.UUID]:
    """The connections that were made from the installation, and their teams."""
    rows = _installations(hook, parsed).order_by("id")
    return dict(rows.values_list("pk", "team_id")[:_MOST_CONNECTIONS])


def _installations(hook: Webhook, parsed: Parsed) -> QuerySet[Connection]:
    rows = Connection.objects.filter(provider=hook.scheme, installation_id=parsed.installation_id)
    if not parsed.installation_id:
        return rows.none()
    # a webhook that a team made itself speaks for the connections of that team only
    return rows.filter(Q(instance_id=hook.instance_id) if hook.instance_id else Q(team_id=hook.team_id))


# --- events -----------------------------------------------------------------------------------------


def events_of(hook: Webhook, delivery: Delivery, heard: Heard, parsed: Parsed, how: str) -> Iterator[Event]:
    """Everything that the delivery says, repository by repository. `how`: webhook or replay."""
    for repository in heard.told:
        for push in parsed.pushes:
            yield _pushed(repository, push, delivery, how)
    for news in parsed.news:
        if isinstance(news, RepositoryNews):
            yield from _of_repository(news, delivery, heard, parsed, how)
        elif isinstance(news, InstallationNews):
            yield from _of_installation(news, hook, delivery, heard, parsed, how)
        else:
            for repository in heard.told:
                yield _changed(repository, news, delivery, how)


def _pushed(repository: uuid.UUID, push: Push, delivery: Delivery, how: str) -> Event:
    return events.Pushed(
        repository_id=repository,
        heard=how,
        by=push.by,
        delivery_id=delivery.pk,
        ref=push.ref,
        before=push.before,
        after=push.after,
    )


def _of_repository(
    news: RepositoryNews, delivery: Delivery, heard: Heard, parsed: Parsed, how: str
) -> Iterator[Event]:
    for repository in heard.same:
        yield events.RepositoryChanged(
            repository_id=repository,
            heard=how,
            by=news.by,
            delivery_id=delivery.pk,
            what=news.what,
            full_name=parsed.repository_name,
            external_id=parsed.repository_id,
            visibility=news.visibility,
            archived=news.archived,
            default_branch=news.default_branch,
        )
    if news.what in _NEW and parsed.repository_id:
        for connection in heard.connections:
            yield _appeared(connection, parsed.repository_id, parsed.repository_name, news.by, delivery, how)


def _of_installation(
    news: InstallationNews, hook: Webhook, delivery: Delivery, heard: Heard, parsed: Parsed, how: str
) -> Iterator[Event]:
    yield events.InstallationChanged(
        heard=how,
        by=news.by,
        delivery_id=delivery.pk,
        webhook_id=hook.pk,
        installation_id=parsed.installation_id,
        what=news.what,
        account=news.account,
        connection_ids=heard.connections,
        vanished=news.vanished,
    )
    for connection in heard.connections:
        for external_id, full_name in news.appeared[:_MOST_APPEARED]:
            yield _appeared(connection, external_id, full_name, news.by, delivery, how)


def _appeared(
    connection: uuid.UUID, external_id: str, full_name: str, by: str, delivery: Delivery, how: str
) -> Event:
    return events.RepositoryAppeared(
        heard=how,
        by=by,
        delivery_id=delivery.pk,
        connection_id=connection,
        external_id=external_id,
        full_name=full_name,
    )


def _changed(repository: uuid.UUID, news: PullNews | PipelineNews, delivery: Delivery, how: str) -> Event:
    if isinstance(news, PullNews):
        return events.PullRequestChanged(
            repository_id=repository,
            heard=how,
            by=news.by,
            delivery_id=delivery.pk,
            number=news.number,
            state=news.state.value,
            what=news.what,
            title=news.title,
            url=news.url,
            head=news.head,
            base=news.base,
            head_oid=news.head_oid,
            merge_oid=news.merge_oid,
        )
    return events.PipelineChanged(
        repository_id=repository,
        heard=how,
        by=news.by,
        delivery_id=delivery.pk,
        external_id=news.external_id,
        state=news.state.value,
        title=news.name,
        ref=news.ref,
        oid=news.oid,
        url=news.url,
    )
