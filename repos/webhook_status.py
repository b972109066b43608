"""How it stands with the webhooks of a connection: by what is stored and set, asking nobody."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from opssight.core.words import count, seconds
from repos.models import Connection, Repository, Webhook
from repos.providers.forge import Forge
from repos.providers.github.provider import GitHubProvider
from repos.providers.registry import provider_named
from repos.providers.types import Capability

Remote = Webhook.Remote
Place = Literal["this machine", "this network", "everywhere"]
_OF_A_NETWORK = (".local", ".lan", ".internal", ".home.arpa", ".test")


def place_of(url: str) -> Place:
    """From where the host of an address can be reached; nothing is looked up."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return "this machine"
        return "this network" if "." not in host or host.endswith(_OF_A_NETWORK) else "everywhere"
    if address.is_loopback:
        return "this machine"
    return "everywhere" if address.is_global else "this network"


def only_here() -> bool:
    """Whether the public address is one of this machine or network, so that no public forge reaches it."""
    return place_of(str(settings.PUBLIC_URL)) != "everywhere"


def is_out_of_reach(hook: Webhook) -> bool:
    """Whether the sender of a webhook, from which nothing came yet, may not reach the public address."""
    if hook.last_delivery_at is not None or (hook.managed and hook.connection_id):
        return False
    if hook.instance is None:
        return only_here()  # a person entered it somewhere
    return not _is_called_from(GitHubProvider.site_of(hook.instance.url), GitHubProvider.public)


def can_have_hooks(connection: Connection) -> bool:
    """Whether the provider lets webhooks be registered at all."""
    return Capability.HOOKS in provider_named(connection.provider).capabilities


def why_no_hooks(connection: Connection) -> str:
    """Why no webhooks are registered for a connection, as a sentence; "" when they are."""
    provider = provider_named(connection.provider)
    if not issubclass(provider, Forge) or Capability.HOOKS not in provider.capabilities:
        return f"OpsSight cannot register webhooks here. Pushes are found by looking {_how_often()}."
    if connection.installation_id:
        if _app_tells(connection):
            return "The webhook of its GitHub App tells of pushes."
        return f"Its GitHub App was made without a webhook. Pushes are found by looking {_how_often()}."
    if _reaches(provider, connection):
        return ""
    return (
        f"{provider.label} cannot reach {settings.PUBLIC_URL}, the address of this installation, so no "
        f"webhooks are registered: pushes are found by looking {_how_often()}. Set OPSSIGHT_PUBLIC_URL to an "
        "address that it can reach."
    )


def _app_tells(connection: Connection) -> bool:
    """Whether the GitHub App of an installation has a webhook."""
    return _hook_of_app(connection) is not None


def _hook_of_app(connection: Connection) -> Webhook | None:
    """The active webhook of the GitHub App that the connection is an installation of."""
    if not connection.installation_id:
        return None
    active = Webhook.objects.filter(state=Webhook.State.ACTIVE, instance__isnull=False)
    return active.filter(instance_id=connection.instance_id).first()


def _is_being_checked(connection: Connection) -> bool:
    """Whether the run that checks it waits or works: asked by relation, because runs stand above us."""
    rows = Connection.objects.filter(pk=connection.pk)
    return rows.filter(watch__job__runs__state__in=("queued", "running")).exists()


def _reaches(provider: type[Forge], connection: Connection) -> bool:
    """An address of this machine is good for a forge on it, one of this network for a self-hosted forge."""
    return _is_called_from(provider.site_of(str(connection.options.get("url") or "")), provider.public)


def _is_called_from(there: str, public: str) -> bool:
    here = place_of(str(settings.PUBLIC_URL))
    if here == "this machine":
        return place_of(there) == "this machine"
    return here == "everywhere" or there != public


def _how_often() -> str:
    return f"every {seconds(settings.POLL_SECONDS)}"


def wanted(connection: Connection) -> QuerySet[Any]:
    """The repositories that we register a webhook for, with `has_ours`: whether one is registered.

    Not an archived one, where nothing happens, nor one whose webhook a person entered and that was heard.
    """
    hooks = Webhook.objects.filter(repository=OuterRef("pk"))
    entered = hooks.filter(managed=False, state=Webhook.State.ACTIVE, last_delivery_at__isnull=False)
    rows = connection.repositories.filter(state=Repository.State.ACTIVE, archived=False)
    ours = Exists(hooks.filter(managed=True).exclude(remote_id=""))
    found: QuerySet[Any] = rows.annotate(has_ours=ours)
    return found.exclude(Exists(entered) & ~ours)


def is_told(repository: Repository) -> bool:
    """Whether somebody tells us of pushes to a repository, so that looking by ourselves is not needed."""
    if repository.connection.installation_id:
        return _app_tells(repository.connection)
    bad = Q(remote_state__in=[Remote.REFUSED, Remote.DISABLED]) | Q(managed=True, remote_id="")
    own = Webhook.objects.filter(repository=repository).exclude(bad)
    of_all = Webhook.objects.filter(connection_id=repository.connection_id, repository__isnull=True)
    return own.exists() or of_all.exists()


@dataclass(frozen=True)
class Standing:
    """How the webhooks of a connection stand.

    `trouble` says what is wrong with some of them, `why_not` why none are registered. `of_app` is the
    webhook that tells instead. `pending`: the run that registers them and reads heads waits or works.
    """

    wanted: int = 0
    registered: int = 0
    checked_at: dt.datetime | None = None
    trouble: str = ""
    why_not: str = ""
    of_app: Webhook | None = None
    pending: bool = False

    @property
    def by_themselves(self) -> bool:
        """Whether pushes are heard without anybody adding a webhook."""
        return self.of_app is not None or not self.why_not

    @property
    def sentence(self) -> str:
        if self.why_not:
            return self.why_not
        if not self.wanted:
            return "No repository is here yet that needs one."
        return f"{self.registered} of {self.wanted} registered"


def standing(connection: Connection) -> Standing:
    """Three queries, however many repositories there are."""
    if why_not := why_no_hooks(connection):
        pending = _is_being_checked(connection)
        return Standing(why_not=why_not, of_app=_hook_of_app(connection), pending=pending)
    rows = list(
        Webhook.objects.filter(managed=True, repository__in=wanted(connection)).values_list(
            "remote_state", "remote_sentence", "remote_checked_at"
        )
    )
    bad = Counter(sentence for state, sentence, _ in rows if state in (Remote.REFUSED, Remote.DISABLED))
    trouble = ""
    if bad:
        sentence, number = bad.most_common(1)[0]
        trouble = f"{count(number, 'repository', 'repositories')}: {sentence}"
    return Standing(
        wanted=wanted(connection).count(),
        registered=sum(state == Remote.OK for state, _, _ in rows),
        checked_at=max((at for _, _, at in rows if at), default=None),
        trouble=trouble,
        pending=_is_being_checked(connection),
    )
