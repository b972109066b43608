"""Repositories on any git server, named by their addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from opssight.core.errors import Failure, InvalidInput
from opssight.core.words import count
from repos.git import keys
from repos.git.fetching import look
from repos.git.remote import PasswordCredential, Remote, SshCredential
from repos.git.types import RemoteRefs
from repos.providers.base import Options, Provider
from repos.providers.errors import NotOfThisConnection
from repos.providers.types import Capability, Context, Field, Identity, Missed, RemoteRepository

_LONGEST = 380  # characters of an address, which is the repository's id
Problem = tuple[str, str]


class PlainProvider(Provider):
    """Git over https or ssh, one address per repository; the address is its id.

    One connection is one server: its secrets are given to nobody else.
    """

    kind = "plain"
    label = "Git server"
    mark = "Gt"
    fields = (
        Field(
            "urls",
            "Addresses",
            "lines",
            "One repository per line, such as https://git.example.org/team/site.git.",
            required=True,
        ),
        Field("username", "User name", "text", "For https. Many servers accept any name beside a token."),
        Field("password", "Password or token", "secret", "For https."),
        Field("private_key", "Private key", "secret_lines", "For ssh: ed25519, ecdsa or rsa."),
        Field("passphrase", "Passphrase", "secret", "Of the private key, when it has one."),
        Field("host_key", "Host keys", "lines", "For ssh: what ssh-keyscan prints for the server."),
    )
    capabilities = frozenset({Capability.WEBHOOKS_IN})

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        self._remotes: dict[str, Remote] = {}
        self._host_keys = [line for line in self.options["host_key"] if not line.startswith("#")]
        problems: list[Problem] = []
        for line in self.options["urls"]:
            problems += self._add(line)
        problems = problems or self._problems()
        if problems:
            raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(remote.origin for remote in self._remotes.values())

    def identity(self) -> Identity:
        first = next(iter(self._remotes.values()))
        heads = len(self._look(first).heads)
        user, _, server = urlsplit(first.url).netloc.rpartition("@")
        user = user or self.options["username"]
        return Identity(
            f"{user}@{server}" if user else server, f"{_path(first)} has {count(heads, 'branch', 'branches')}"
        )

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        for url in self._remotes:
            yield self.repository(url)

    def repository(self, external_id: str) -> RemoteRepository:
        remote = self._remote(external_id)
        name = _path(remote)
        try:
            refs = self._look(remote)
        except Failure as failure:  # one that cannot be reached must not hide the others
            return RemoteRepository(external_id, name, usable=False, reason=failure.sentence)
        head = (refs.head or b"").removeprefix(b"refs/heads/").decode("utf-8", "replace")
        return RemoteRepository(external_id, name, default_branch=head)

    def remote(self, external_id: str, full_name: str) -> Remote:
        known = self._remote(external_id)
        return Remote(known.url, self._credential(known), label=full_name)

    def _add(self, line: str) -> list[Problem]:
        try:
            remote = Remote.from_url(line)
        except InvalidInput as error:
            return [("urls", f"{_without_userinfo(line)}: {error.sentence}")]
        if remote.scheme == "file":
            return [("urls", "A folder of this machine belongs into a connection of the kind folder.")]
        if len(remote.url) > _LONGEST:
            return [("urls", f"An address is longer than {_LONGEST} characters.")]
        self._remotes[remote.url] = remote
        return []

    def _problems(self) -> list[Problem]:
        """What does not fit together in fields that are right by themselves."""
        problems: list[Problem] = []
        remotes = list(self._remotes.values())
        ssh = [remote for remote in remotes if remote.scheme == "ssh"]
        if len({remote.host for remote in remotes}) > 1 and self.secrets:
            problems.append(
                ("urls", "These are different servers. Make one connection for each, so that none "
                         "is given the secrets of another.")
            )  # fmt: skip
        if ssh and not self.secrets.get("private_key"):
            problems.append(
                ("private_key", "An ssh address needs a private key. Add one that the server knows.")
            )
        if self.secrets.get("private_key") and not self.secrets.get("passphrase"):
            problems += _bad_key(self.secrets["private_key"])
        if ssh and not self._host_keys:
            problems.append(("host_key", _how_to_get_the_host_key(ssh[0])))
        problems += [("host_key", p) for line in self._host_keys if (p := _bad_host_key(line))]
        if self.options["username"] and not self.secrets.get("password"):
            problems.append(
                ("password", "There is a user name without a password. Add one, or remove the name.")
            )
        return problems

    def _remote(self, external_id: str) -> Remote:
        try:
            return self._remotes[external_id]
        except KeyError:
            raise NotOfThisConnection(
                f"{external_id} is not among the addresses of this connection any more. Add it there again."
            ) from None

    def _credential(self, remote: Remote) -> PasswordCredential | SshCredential | None:
        if remote.scheme == "ssh":
            hosts = "\n".join(self._host_keys)
            return SshCredential(self.secrets["private_key"], hosts, self.secrets.get("passphrase", ""))
        password = self.secrets.get("password")
        # a token is enough for most servers, but git always sends a name
        return PasswordCredential(self.options["username"] or "git", password) if password else None

    def _look(self, remote: Remote) -> RemoteRefs:
        full = self.remote(remote.url, _path(remote))
        return look(self.context.git, self.context.vet(full))


def _path(remote: Remote) -> str:
    """`team/site` of an address: how people call the repository."""
    return unquote(urlsplit(remote.url).path).strip("/").removesuffix(".git")


def _without_userinfo(line: str) -> str:
    scheme, separator, rest = line.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _how_to_get_the_host_key(remote: Remote) -> str:
    port = "" if remote.port == 22 else f"-p {remote.port} "
    return (
        f"ssh needs the server's host key. Run: ssh-keyscan {port}{remote.host} and enter what it prints, "
        "after comparing it with what the server's owner says."
    )


def _bad_key(text: str) -> list[Problem]:
    """One with a passphrase is opened when it is used: that is slow on purpose."""
    try:
        keys.opened(text)
    except InvalidInput as error:
        return list(error.problems)
    return []


def _bad_host_key(line: str) -> str:
    words = line.split()
    if len(words) >= 3 and words[1].startswith(("ssh-", "ecdsa-", "sk-")):
        return ""
    return "A host key has three parts: the host, the kind such as ssh-ed25519, and the key."
