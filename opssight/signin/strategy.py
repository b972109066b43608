"""How social-auth meets this installation: one attempt of one session, and no state anywhere else."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.db import transaction
from social_core.backends.base import BaseAuth
from social_core.strategy import BaseStrategy
from social_django.models import DjangoStorage

from opssight.web.attempts import SECONDS
from repos.instances import Instance

PIPELINE = [
    "social_core.pipeline.social_auth.social_details",
    "social_core.pipeline.social_auth.social_uid",
    "social_core.pipeline.social_auth.social_user",
    "opssight.signin.pipeline.find_account",
    "social_core.pipeline.social_auth.associate_user",
    "opssight.signin.pipeline.tell",
]


class _Nonces:
    """Each state counts once. In the cache: strangers who start and go away leave nothing behind."""

    @classmethod
    def use(cls, server_url: str, timestamp: int, salt: str) -> bool:
        return cache.add(cls._name(server_url, timestamp, salt), 1, SECONDS)

    @classmethod
    def consume(cls, server_url: str, timestamp: int, salt: str) -> bool:
        return cache.delete(cls._name(server_url, timestamp, salt))

    @staticmethod
    def _name(server_url: str, timestamp: int, salt: str) -> str:
        return f"signin:{server_url}:{timestamp}:{salt}"


class Storage(DjangoStorage):
    nonce = _Nonces  # type: ignore[assignment]


class Strategy(BaseStrategy):  # type: ignore[type-arg]
    """`attempt` is kept in the session by whoever calls; `given` is what the browser brought back."""

    def __init__(
        self,
        instance: Instance,
        attempt: dict[str, Any],
        given: dict[str, str] | None = None,
        invitation: str = "",
    ) -> None:
        super().__init__(Storage)
        self.instance, self.attempt, self.given, self.invitation = instance, attempt, given or {}, invitation

    def get_setting(self, name: str) -> Any:
        raise KeyError(name)  # everything that matters is said by the backends

    def get_pipeline(self, backend: BaseAuth[Any] | None = None) -> list[str]:
        return PIPELINE

    def authenticate(self, backend: BaseAuth[Any], *args: Any, **kwargs: Any) -> Any:
        """The provider was asked; what follows is the database's."""
        with transaction.atomic():
            return super().authenticate(backend, *args, **kwargs)

    def get_request_data(self, merge: bool = True) -> dict[str, Any]:
        return self.given

    def build_absolute_uri(self, path: str | None = None) -> str:
        return path or ""

    def session_get(self, name: str, default: Any = None) -> Any:
        return self.attempt["session"].get(name, default)

    def session_set(self, name: str, value: Any) -> None:
        self.attempt["session"][name] = value

    def session_pop(self, name: str) -> Any:
        return self.attempt["session"].pop(name, None)
