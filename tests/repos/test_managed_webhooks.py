"""Webhooks that we register: made, mended, taken away, told of new secrets, at every forge there is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.errors import AuthFailure, Conflict, Failure, NotFound, TransientFailure
from repos import connections, inventory, managed_webhooks, redelivery, webhook_status, webhooks
from repos.models import Connection, Delivery, Repository, Webhook
from repos.providers.registry import scheme_named
from syncs.copy.models import CopyRule
from tests.factories import make_connection, make_job, make_repository, make_user
from tests.forges.github_refused import error
from tests.forges.standin import Reply
from tests.repos.forges import STANDINS, Connected, connected
from tests.repos.git.work import git as plain_git

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

Remote = Webhook.Remote


@pytest.fixture(autouse=True)
def public_url(settings: Settings) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(params=STANDINS)
def there(
    request: pytest.FixtureRequest, tmp_path: Path, team: Team, principal: Principal, folder: Path
) -> Iterator[Connected]:
    with connected(request.param, tmp_path, team, principal) as made:
        yield made


@pytest.fixture
def github(tmp_path: Path, team: Team, principal: Principal, folder: Path) -> Iterator[Connected]:
    with connected("github", tmp_path, team, principal) as made:
        yield made


def hook_of(there: Connected, full_name: str = "acme/site") -> Webhook:
    rows = Webhook.objects.select_related("repository", "connection")
    hook: Webhook = rows.get(repository=there.row(full_name))
    return hook


class KilledAt:
    """Whoever runs it dies at this point for the first time."""

    def __init__(self, name: str) -> None:
        self._name = name

    def progress(self, phase: str, done: int = 0, total: int | None = None) -> None:
        return

    def checkpoint(self, name: str) -> None:
        if name == self._name:
            self._name = ""
            raise KeyboardInterrupt


# --- at every forge -------------------------------------------------------------------------------------


def test_one_webhook_for_each_imported_repository(there: Connected) -> None:
    done = managed_webhooks.reconcile(there.connection)

    assert (done.registered, sorted(done.made), done.refused) == (2, ["acme/docs", "acme/site"], {})
    hook = hook_of(there)
    [registered] = there.hooks_there()
    assert registered.url == webhooks.url_of(hook) == f"http://127.0.0.1:9/hooks/{hook.pk}/"
    assert (hook.managed, hook.remote_id, hook.remote_state) == (True, registered.id, Remote.OK)
    assert hook.scheme == there.connection.provider
    assert hook.remote_checked_at is not None
    assert AuditEvent.objects.filter(action="webhook.register").count() == 2

    again = managed_webhooks.reconcile(there.connection)

    assert (again.registered, again.made, again.mended) == (2, [], [])
    assert len(there.hooks_there()) == 1
    assert "2 of 2 webhooks registered" in again.sentence


def test_a_push_there_arrives_here(there: Connected, live_server: LiveServer, settings: Settings) -> None:
    settings.PUBLIC_URL = live_server.url
    managed_webhooks.reconcile(there.connection)
    oid = there.forge.bare(there.repo()).commit({b"new.html": b"new"})
    before = there.forge.bare(there.repo()).oid("refs/heads/main~1")
    count = len(there.forge.sent)

    there.forge.pushed("acme/site.git", {"refs/heads/main": before}, {"refs/heads/main": oid})
    there.forge.wait_until_sent(count + 1)

    delivery = Delivery.objects.filter(webhook=hook_of(there), verdict=Delivery.Verdict.ACCEPTED).get()
    assert delivery.repository == there.row()
    assert there.row().head_oid == oid


def test_what_was_deleted_there_is_made_again(there: Connected) -> None:
    managed_webhooks.reconcile(there.connection)
    [before] = there.hooks_there()
    there.repo().hooks.clear()

    done = managed_webhooks.reconcile(there.connection)

    [after] = there.hooks_there()
    assert after.url == before.url
    assert (done.mended, hook_of(there).remote_id) == (["acme/site"], after.id)


def test_what_was_switched_off_there_is_switched_on(there: Connected) -> None:
    managed_webhooks.reconcile(there.connection)
    [hook] = there.hooks_there()
    hook.active = False

    done = managed_webhooks.reconcile(there.connection)

    assert (hook.active, done.switched_on, done.registered) == (True, ["acme/site"], 2)
    assert "had switched it off. It is on again." in hook_of(there).remote_sentence
    assert AuditEvent.objects.filter(action="webhook.switch_on").count() == 1


def test_another_address_or_fewer_events_are_mended_in_place(there: Connected, settings: Settings) -> None:
    managed_webhooks.reconcile(there.connection)
    [hook] = there.hooks_there()
    there.hooks_there("acme/docs")[0].events = []
    settings.PUBLIC_URL = "http://127.0.0.1:10"

    done = managed_webhooks.reconcile(there.connection)

    [now_there] = there.hooks_there()
    assert (now_there.id, sorted(done.mended)) == (hook.id, ["acme/docs", "acme/site"])
    assert now_there.url.startswith("http://127.0.0.1:10/hooks/")
    assert managed_webhooks.reconcile(there.connection).mended == []


def test_a_kill_between_there_and_here_leaves_one_webhook(there: Connected) -> None:
    with pytest.raises(KeyboardInterrupt):
        managed_webhooks.reconcile(there.connection, KilledAt("hook-made"))
    assert Webhook.objects.filter(remote_id="").count() == 1
    assert sum(len(there.hooks_there(name)) for name in ("acme/site", "acme/docs")) == 1

    managed_webhooks.reconcile(there.connection)

    assert [len(there.hooks_there(name)) for name in ("acme/site", "acme/docs")] == [1, 1]
    assert Webhook.objects.filter(remote_state=Remote.OK).count() == 2


def test_a_new_secret_is_told_and_the_former_one_ends_after_a_day(there: Connected) -> None:
    managed_webhooks.reconcile(there.connection)
    hook = hook_of(there)
    former = hook.secret

    managed_webhooks.rotate(there.principal, hook)
    assert managed_webhooks.is_untold(hook)
    managed_webhooks.mend(hook)

    hook = hook_of(there)
    assert (hook.previous_secret, managed_webhooks.is_untold(hook)) == (former, False)
    [registered] = there.hooks_there()
    headers = there.forge.signed(registered, "push", b"{}")
    scheme = scheme_named(hook.scheme)
    lower = {name.lower(): value for name, value in headers.items()}
    assert scheme.verify(lower, b"{}", [hook.secret])
    assert not scheme.verify(lower, b"{}", [former])

    managed_webhooks.reconcile(there.connection)
    assert hook_of(there).previous_secret == former
    Webhook.objects.filter(pk=hook.pk).update(rotated_at=now() - dt.timedelta(hours=25))
    managed_webhooks.reconcile(there.connection)
    assert hook_of(there).previous_secret == ""


def test_the_webhook_of_an_ignored_repository_is_taken_away(there: Connected) -> None:
    managed_webhooks.reconcile(there.connection)
    inventory.set_ignored(there.principal, there.row(), ignored=True)

    done = managed_webhooks.reconcile(there.connection)

    assert (there.hooks_there(), done.removed, done.wanted) == ([], ["acme/site"], 1)
    assert hook_of(there).remote_id == ""
    inventory.set_ignored(there.principal, there.row(), ignored=False)
    assert managed_webhooks.reconcile(there.connection).made == ["acme/site"]


def test_deleting_takes_it_away_there(there: Connected, beside: None) -> None:
    managed_webhooks.reconcile(there.connection)
    operator = Principal(make_user(), {there.connection.team_id: Role.OPERATOR})
    with pytest.raises(NotAllowed):
        managed_webhooks.delete(operator, hook_of(there))
    assert len(there.hooks_there()) == 1, "the role is looked at before the provider is asked"

    assert managed_webhooks.delete(there.principal, hook_of(there)) == ""
    assert there.hooks_there() == []

    for token in there.forge.tokens.values():
        token.revoked = True
    assert "token" in managed_webhooks.delete(there.principal, hook_of(there, "acme/docs"))
    assert not Webhook.objects.exists()


def test_deleting_a_connection_takes_them_away(there: Connected) -> None:
    managed_webhooks.reconcile(there.connection)
    assert len(there.hooks_there()) == len(there.hooks_there("acme/docs")) == 1
    gone = connections.delete_connection(there.principal, there.connection, with_everything=True)
    assert (gone, there.hooks_there(), there.hooks_there("acme/docs")) == (0, [], [])


def test_deleting_a_connection_says_how_many_stay(github: Connected) -> None:
    managed_webhooks.reconcile(github.connection)
    for token in github.forge.tokens.values():
        token.revoked = True
    stay = connections.delete_connection(github.principal, github.connection, with_everything=True)
    assert stay == 2
    assert connections.what_stays(stay).startswith(" 2 webhooks stay at the server")
    assert not Connection.objects.exists()


def test_a_connection_that_is_kept_keeps_its_webhooks(github: Connected) -> None:
    managed_webhooks.reconcile(github.connection)
    CopyRule.objects.create(
        job=make_job(github.connection.team), source=Repository.objects.earliest("pk"), source_branch="main"
    )
    with pytest.raises(Conflict):
        connections.delete_connection(github.principal, github.connection, with_everything=True)
    assert len(github.hooks_there()) == 1


# --- what can go wrong, at one of them --------------------------------------------------------------------


def test_a_refusal_is_noted_and_the_others_go_on(github: Connected) -> None:
    github.repo("acme/docs").more["refuses"] = "Resource not accessible by personal access token"

    done = managed_webhooks.reconcile(github.connection)

    assert (done.registered, done.made) == (1, ["acme/site"])
    [(sentence, names)] = done.refused.items()
    assert names == ["acme/docs"]
    assert sentence in done.sentence
    hook = hook_of(github, "acme/docs")
    assert (hook.remote_state, hook.remote_sentence) == (Remote.REFUSED, sentence)
    stands = webhook_status.standing(github.connection)
    assert (stands.registered, stands.wanted) == (1, 2)
    assert stands.trouble == f"1 repository: {sentence}"

    del github.repo("acme/docs").more["refuses"]
    assert managed_webhooks.reconcile(github.connection).made == ["acme/docs"]
    assert webhook_status.standing(github.connection).trouble == ""


def test_one_refusal_is_said_once_and_not_asked_for_ever(github: Connected) -> None:
    for number in range(30):
        repo = github.forge.add_repository(f"acme/r{number:02}", on_disk=False)
        repo.more["refuses"] = "no"
        make_repository(github.connection, repo.full_name, external_id=str(repo.id))
    for name in ("acme/site", "acme/docs"):
        github.repo(name).more["refuses"] = "no"
    asked = len(github.forge.asked)

    done = managed_webhooks.reconcile(github.connection)

    [(_, names)] = done.refused.items()
    assert len(names) == 32
    assert len(github.forge.asked) - asked == 20
    assert "and 29 more: " in done.sentence


def test_somebody_who_may_not_see_webhooks_is_told_so(github: Connected) -> None:
    github.forge.next_replies = [error(404, "Not Found")]
    done = managed_webhooks.reconcile(github.connection)
    [sentence] = done.refused
    assert "may the token administer it?" in sentence


def test_a_token_that_is_refused_ends_it(github: Connected) -> None:
    for token in github.forge.tokens.values():
        token.revoked = True
    with pytest.raises(AuthFailure):
        managed_webhooks.reconcile(github.connection)


def test_a_server_in_trouble_is_left_alone_after_three(github: Connected) -> None:
    for number in range(3):
        repo = github.forge.add_repository(f"acme/r{number}", on_disk=False)
        make_repository(github.connection, repo.full_name, external_id=str(repo.id))
    asked = len(github.forge.asked)
    github.forge.next_replies = [Reply(502, raw=b"Bad gateway")] * 50

    with pytest.raises(TransientFailure):
        managed_webhooks.reconcile(github.connection)

    github.forge.next_replies = []
    assert len({one.path for one in github.forge.asked[asked:]}) == 3
    assert Webhook.objects.filter(remote_state=Remote.REFUSED).count() == 0


def test_leftovers_of_this_installation_go_and_those_of_others_stay(github: Connected, team: Team) -> None:
    managed_webhooks.reconcile(github.connection)
    other = make_connection(team, "github", options=github.connection.options)
    elsewhere = Webhook.objects.create(team=team, scheme="github", secret="x", connection=other, managed=True)
    repo, [ours] = github.repo(), github.hooks_there()
    kept = {
        "1": webhooks.url_of(elsewhere),
        "2": "https://other.example.org/hooks/00000000-0000-4000-8000-000000000000/",
    }
    gone = {"3": "http://127.0.0.1:9/hooks/00000000-0000-4000-8000-000000000000/", "4": ours.url}
    for id, url in (kept | gone).items():
        repo.hooks[id] = type(ours)(id, url, "s", list(ours.events))

    managed_webhooks.reconcile(github.connection)

    assert {hook.id for hook in github.hooks_there()} == {ours.id, *kept}


def test_what_a_person_entered_and_was_heard_is_not_doubled(github: Connected, team: Team) -> None:
    row = github.row()
    entered = Webhook.objects.create(team=team, scheme="github", secret="x", repository=row)
    assert webhook_status.wanted(github.connection).count() == 2
    Webhook.objects.filter(pk=entered.pk).update(last_delivery_at=now())

    assert managed_webhooks.reconcile(github.connection).made == ["acme/docs"]


def test_archived_repositories_get_none(github: Connected) -> None:
    github.connection.repositories.filter(full_name="acme/docs").update(archived=True)
    assert managed_webhooks.reconcile(github.connection).made == ["acme/site"]


def test_a_secret_that_could_not_be_told_is_told_at_the_next_check(github: Connected) -> None:
    managed_webhooks.reconcile(github.connection)
    hook = hook_of(github)
    used = hook.secret
    managed_webhooks.rotate(github.principal, hook)
    github.forge.next_replies = [error(403, "Resource not accessible")]
    with pytest.raises(Failure):
        managed_webhooks.mend(hook)
    managed_webhooks.rotate(github.principal, hook_of(github))

    hook = hook_of(github)
    assert (hook.previous_secret, managed_webhooks.is_untold(hook)) == (
        used,
        True,
    )
    managed_webhooks.reconcile(github.connection)
    assert github.hooks_there()[0].secret == hook.secret
    assert not managed_webhooks.is_untold(hook_of(github))


def test_the_provider_is_asked_for_a_test(github: Connected) -> None:
    managed_webhooks.reconcile(github.connection)
    count = len(github.forge.sent)
    managed_webhooks.ask_for_test(hook_of(github))
    github.forge.wait_until_sent(count + 1)
    assert github.forge.sent[-1].event == "push"
    Webhook.objects.update(remote_id="")
    with pytest.raises(NotFound):
        managed_webhooks.ask_for_test(hook_of(github))


# --- who tells ---------------------------------------------------------------------------------------------


def test_no_public_address_asks_nobody(github: Connected, settings: Settings) -> None:
    github.connection.options = {"url": ""}
    done = managed_webhooks.reconcile(github.connection)
    assert "cannot reach http://127.0.0.1:9" in done.sentence
    assert webhook_status.standing(github.connection).sentence == done.sentence
    assert Webhook.objects.count() == 0


def test_who_tells_of_pushes(github: Connected, team: Team) -> None:
    row = github.row()
    assert not webhook_status.is_told(row)
    managed_webhooks.reconcile(github.connection)
    assert webhook_status.is_told(row)
    for state in (Remote.REFUSED, Remote.DISABLED):
        Webhook.objects.update(remote_state=state)
        assert not webhook_status.is_told(row)
    Webhook.objects.create(team=team, scheme="github", secret="x", connection=github.connection)
    assert webhook_status.is_told(row)


# --- missed deliveries --------------------------------------------------------------------------------------


def test_what_failed_while_we_were_away_comes_again(
    github: Connected, live_server: LiveServer, settings: Settings
) -> None:
    managed_webhooks.reconcile(github.connection)  # at an address where nobody listens
    commit(github, "one")
    github.forge.wait_until_sent(2 + 1)
    settings.PUBLIC_URL = live_server.url
    managed_webhooks.reconcile(github.connection)
    count = len(github.forge.sent)

    found = redelivery.fetch(github.connection)

    assert found.again == 3  # the pings of the two webhooks as well
    github.forge.wait_until_sent(count + 3)
    assert {sent.status for sent in github.forge.sent[count:]} == {202, 204}
    assert Delivery.objects.filter(verdict=Delivery.Verdict.ACCEPTED).count() == 1
    assert redelivery.fetch(github.connection).again == 0


def test_what_is_here_already_is_not_asked_for(
    github: Connected, live_server: LiveServer, settings: Settings
) -> None:
    settings.PUBLIC_URL = live_server.url
    managed_webhooks.reconcile(github.connection)
    commit(github, "one")
    github.forge.wait_until_sent(2 + 1)
    github.forge.sent[-1].status = 504  # it was stored, and the answer came too late
    assert redelivery.fetch(github.connection).again == 0
    Delivery.objects.filter(verdict=Delivery.Verdict.ACCEPTED).delete()
    assert redelivery.fetch(github.connection).again == 1


def test_a_webhook_that_vanished_is_passed_over(github: Connected) -> None:
    managed_webhooks.reconcile(github.connection)
    github.repo().hooks.clear()
    assert redelivery.fetch(github.connection).webhooks == 2


def commit(there: Connected, name: str) -> None:
    """A commit that is pushed to the stand-in by git."""
    bare = there.forge.bare(there.repo())
    before = bare.oid("refs/heads/main")
    after = bare.commit({name.encode(): b"x"})
    assert plain_git("rev-parse", "main", cwd=bare.path) == after
    there.forge.pushed("acme/site.git", {"refs/heads/main": before}, {"refs/heads/main": after})
