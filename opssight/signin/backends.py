"""The forges as social-auth sees them. What differs from its own backends is how they are asked.

Every request goes through `repos.access`, which keeps to the outbound policy; tokens travel in headers
and bodies only, and are forgotten once they told who the person is. All use PKCE.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from social_core.backends.bitbucket import BitbucketOAuth2
from social_core.backends.gitea import GiteaOAuth2
from social_core.backends.github import GithubOAuth2
from social_core.backends.gitlab import GitLabOAuth2
from social_core.backends.oauth import BaseOAuth2PKCE

from opssight.core.errors import AuthFailure, InvalidInput
from opssight.signin.strategy import Strategy
from repos import access
from repos.instances import Instance, callback_of
from repos.providers.forge import Forge, Person

_LONGEST_ID = 255


class ForgeBackend(BaseOAuth2PKCE):  # type: ignore[type-arg]
    """One of our OAuth applications, used to learn who somebody is and for nothing else."""

    scopes: ClassVar[tuple[str, ...]]
    REDIRECT_STATE = False
    STATE_PARAMETER = True

    def __init__(self, strategy: Strategy, instance: Instance) -> None:
        self.instance, self.ours = instance, strategy
        super().__init__(strategy, callback_of(instance.kind))

    def state_token(self) -> str:
        state: str = self.ours.attempt["state"]
        return state

    def get_key_and_secret(self) -> tuple[str, str]:
        return self.instance.app.client_id, self.instance.app.client_secret

    def get_scope(self) -> list[str]:
        return [] if self.instance.github_app else list(self.scopes)  # an app has its permissions

    def authorization_url(self) -> str:
        oauth = self.instance.provider.oauth
        assert oauth is not None  # noqa: S101 - an instance is of a provider that has it
        return f"{self.instance.app.site.rstrip('/')}{oauth.authorize}"

    def request_access_token(self, *args: Any, data: dict[str, str] | None = None, **kwargs: Any) -> Any:
        """Only the token: what would renew it is not kept."""
        given = data or {}
        client = access.oauth_of(self.instance)
        try:
            grant = client.exchange(given["code"], given["redirect_uri"], given["code_verifier"])
        except AuthFailure:
            raise AuthFailure(
                f"{self.instance.name} does not accept this sign-in any more. Start again."
            ) from None
        return {"access_token": grant.token}

    def user_data(self, access_token: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        options = {"url": self.instance.url} if self.instance.url else {}
        client = access.provider_for(self.instance.kind, options, {"token": access_token})
        assert isinstance(client, Forge)  # noqa: S101 - an instance is of a forge
        return {"person": client.person()}

    def get_user_details(self, response: dict[str, Any]) -> dict[str, Any]:
        person: Person = response["person"]
        return {"username": person.login, "fullname": person.name}

    def get_user_id(self, details: dict[str, Any], response: dict[str, Any]) -> str:
        """The provider's id; servers of one kind count alike, so it goes with the address."""
        person: Person = response["person"]
        found = f"{person.external_id}@{self.instance.url}" if self.instance.url else person.external_id
        if len(found) > _LONGEST_ID:
            raise InvalidInput(f"The address of {self.instance.label} is too long to sign in with it.")
        return found

    def request(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("Signing in asks nothing but through repos.access.")


class GitHub(ForgeBackend, GithubOAuth2):  # type: ignore[type-arg]
    name = "github"
    scopes = ("read:user", "user:email")
    SCOPE_SEPARATOR = " "


class GitLab(ForgeBackend, GitLabOAuth2):  # type: ignore[type-arg]
    name = "gitlab"
    scopes = ("read_user",)


class Bitbucket(ForgeBackend, BitbucketOAuth2):  # type: ignore[type-arg]
    name = "bitbucket"
    scopes = ("account", "email")


class Gitea(ForgeBackend, GiteaOAuth2):  # type: ignore[type-arg]
    name = "gitea"
    scopes = ("read:user",)
    SCOPE_SEPARATOR = " "


BACKENDS: dict[str, type[ForgeBackend]] = {one.name: one for one in (GitHub, GitLab, Bitbucket, Gitea)}


def backend_for(instance: Instance, strategy: Strategy) -> ForgeBackend:
    return BACKENDS[instance.kind](strategy, instance)
