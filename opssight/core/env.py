"""Every setting, declared once. The reference page and `.env.example` are made from this list.

A setting is an environment variable `OPSSIGHT_X`, read as `env.x` from what `load()` returns. A
secret one may instead be given as `OPSSIGHT_X_FILE`, the path of a file that holds it.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload
from urllib.parse import urlsplit

from opssight.core import env_kinds as kinds, redact
from opssight.core.errors import InvalidInput

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parents[2]
ADDRESS_FILE = "address"  # in OPSSIGHT_DATA
# Read by the tests (their database, real servers of the opt-in suites), never by the product.
_FOREIGN = ("OPSSIGHT_E2E_", "OPSSIGHT_TEST_")

BASICS, SECRETS, DATABASE, WEB = "Basics", "Secrets", "Database", "Web"
WORK, OUTBOUND, MAIL, RECORDS, METRICS = "Work", "Outbound network", "Mail", "Logs and records", "Metrics"
OAUTH = "OAuth applications"


class SettingsError(InvalidInput):
    """One or more settings cannot be used; `problems` holds (variable, sentence)."""


@dataclass(frozen=True, eq=False)
class Setting(Generic[T]):
    """One environment variable.

    `default` is used when it is not set; where the default depends on other settings, `derive`
    computes it and `derived` says in words what it is. `alias` is a second name without `_FILE`.
    """

    name: str
    kind: kinds.Kind[T]
    group: str
    help: str
    default: T | None = None
    derive: Callable[[Env], T] | None = None
    derived: str = ""
    secret: bool = False
    alias: str = ""

    @overload
    def __get__(self, instance: None, owner: type[Env]) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Env, owner: type[Env]) -> T: ...
    def __get__(self, instance: Env | None, owner: type[Env]) -> Setting[T] | T:
        return self if instance is None else instance.get(self)

    @property
    def default_text(self) -> str:
        """The default as it would be written; empty when there is none or it is derived."""
        return "" if self.derived or self.default is None else self.kind.show(self.default)


def _default_data(env: Env) -> Path:
    if (_ROOT / "manage.py").is_file():
        return _ROOT / "var"
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "opssight"


def _default_database(env: Env) -> kinds.Database:
    return kinds.Database("sqlite", str(env.data / "opssight.sqlite3"))


def _default_hosts(env: Env) -> tuple[str, ...]:
    public = urlsplit(env.public_url).hostname or ""
    local = () if env.production else ("localhost", "127.0.0.1", "[::1]")
    return tuple(dict.fromkeys([*local, f"[{public}]" if ":" in public else public]))


def _default_public_url(env: Env) -> str:
    """Where `up` serves, told by the file that it writes; other commands of the machine read it there."""
    with contextlib.suppress(OSError):
        if text := (env.data / ADDRESS_FILE).read_text().strip():
            return text
    return f"http://127.0.0.1:{env.port}"


def _default_quota(env: Env) -> int:
    folder = next(path for path in (env.stores, *env.stores.parents) if path.exists())
    return min(10 * 10**9, shutil.disk_usage(folder).free // 5)


def _client_id(kind: str, host: str) -> Setting[str]:
    text = (
        f"The id of your OAuth application at {host}; with it people connect by a button. "
        "Servers of your own are registered on the admin site."
    )
    return _oauth(kind, "CLIENT_ID", text)


def _client_secret(kind: str) -> Setting[str]:
    return _oauth(kind, "CLIENT_SECRET", "The secret of that application.", secret=True)


def _callback_url(kind: str) -> Setting[str]:
    text = (
        "The callback address that was registered there, where it is another one than "
        f"`/auth/callback/{kind}` below OPSSIGHT_PUBLIC_URL."
    )
    return _oauth(kind, "CALLBACK_URL", text)


def _oauth(kind: str, name: str, text: str, *, secret: bool = False) -> Setting[str]:
    """A setting of the OAuth application at a public forge; the alias is the original's name of it."""
    alias = f"{kind.upper()}_{name}"
    return Setting(f"OPSSIGHT_{alias}", kinds.TEXT, OAUTH, text, default="", secret=secret, alias=alias)


class Env:
    """The settings of this process, read and checked once. Made by `load()`."""

    # fmt: off
    mode = Setting("OPSSIGHT_MODE", kinds.choice("embedded", "production"), BASICS,
        "`embedded` is one command for one person on one machine. `production` turns on HTTPS redirect, "
        "HSTS, secure cookies and verified database TLS, and needs a public address.", default="embedded")
    debug = Setting("OPSSIGHT_DEBUG", kinds.BOOL, BASICS,
        "Show technical error pages with source and settings. For development; refused in production.",
        default=False)
    data = Setting("OPSSIGHT_DATA", kinds.PATH, BASICS,
        "The folder for everything OpsSight writes: database, keys, git stores, archives.",
        derive=_default_data, derived="`var/` in a checkout, else `~/.local/share/opssight`")
    stores = Setting("OPSSIGHT_STORES", kinds.PATH, BASICS,
        "The folder for git stores. It is a cache on local disk and may be deleted while nothing runs.",
        derive=lambda env: env.data / "stores", derived="`stores/` in OPSSIGHT_DATA")
    store_quota = Setting("OPSSIGHT_STORE_QUOTA", kinds.SIZE, BASICS,
        "How much disk the git stores may take together; the least recently used go first.",
        derive=_default_quota, derived="10GB, or 20 % of the free disk space where that is less")
    folder_roots = Setting("OPSSIGHT_FOLDER_ROOTS", kinds.PATHS, BASICS,
        "Folders whose repositories may be used by folder connections made in the browser or by the API. "
        "Empty means none. The command line is not limited by it.", default=())

    secret_key = Setting("OPSSIGHT_SECRET_KEY", kinds.secret_text(32), SECRETS,
        "Signs sessions and forms. Several machines need the same one.",
        default="", derived="made once into the file `secret_key` in OPSSIGHT_DATA", secret=True)
    secret_key_fallbacks = Setting("OPSSIGHT_SECRET_KEY_FALLBACKS", kinds.LIST, SECRETS,
        "Former values of OPSSIGHT_SECRET_KEY that still count, so that a change signs nobody out.",
        default=(), secret=True)
    keys = Setting("OPSSIGHT_KEYS", kinds.KEYS, SECRETS,
        "The keys that encrypt stored secrets: `k2:<base64>,k1:<base64>`, 32 bytes each. The first encrypts, "
        "all decrypt. Keep a copy away from the database: without it, every stored secret is lost.",
        default=(), derived="made once into the file `keys` in OPSSIGHT_DATA", secret=True)
    signing_key = Setting("OPSSIGHT_SIGNING_KEY", kinds.SIGNING_KEY, SECRETS,
        "The key of OpenSSH or OpenPGP (GPG) that commits are signed with where a copy rule says "
        "`sign: key`. `\\n` may stand for the end of a line. `opssight doctor` shows what to register.",
        default="", derived="none: such rules are refused", secret=True)
    signing_passphrase = Setting("OPSSIGHT_SIGNING_PASSPHRASE", kinds.TEXT, SECRETS,
        "The passphrase of OPSSIGHT_SIGNING_KEY, where it has one.", default="", secret=True)

    database_url = Setting("OPSSIGHT_DATABASE_URL", kinds.DATABASE, DATABASE,
        "The database. `DATABASE_URL` is read where this is not set. In production a PostgreSQL on another "
        "machine is reached with `sslmode=verify-full` unless the URL itself names another mode.",
        derive=_default_database, derived="a SQLite file in OPSSIGHT_DATA", secret=True, alias="DATABASE_URL")
    database_ca = Setting("OPSSIGHT_DATABASE_CA", kinds.OPTIONAL_PATH, DATABASE,
        "A PEM file with the authority that signed the database server's certificate.",
        derived="the system's certificates")

    public_url = Setting("OPSSIGHT_PUBLIC_URL", kinds.url("http", "https"), WEB,
        "The address at which people and webhooks reach this installation; links in mail use it.",
        derive=_default_public_url, derived="where `up` serves, else `http://127.0.0.1:` and OPSSIGHT_PORT")
    hosts = Setting("OPSSIGHT_HOSTS", kinds.LIST, WEB,
        "Host names that requests may be addressed to; `.example.org` includes all below it.",
        derive=_default_hosts, derived="the host of OPSSIGHT_PUBLIC_URL; embedded also this machine")
    bind = Setting("OPSSIGHT_BIND", kinds.ADDRESS, WEB,
        "The address the web process listens on.", default="127.0.0.1")
    port = Setting("OPSSIGHT_PORT", kinds.whole_number(1, 65535), WEB,
        "The port the web process listens on.", default=8000)
    allow_http = Setting("OPSSIGHT_ALLOW_HTTP", kinds.BOOL, WEB,
        "Serve plain HTTP to other machines. Passwords and cookies then cross the network unprotected.",
        default=False)
    https_redirect = Setting("OPSSIGHT_HTTPS_REDIRECT", kinds.BOOL, WEB,
        "Send every plain HTTP request to HTTPS.",
        derive=lambda env: env.production and not env.allow_http, derived="1 in production, else 0")
    hsts_seconds = Setting("OPSSIGHT_HSTS_SECONDS", kinds.whole_number(0), WEB,
        "For how long browsers must use HTTPS for this host; 0 turns it off.",
        derive=lambda env: 31_536_000 if env.https_redirect else 0,
        derived="31536000 with the HTTPS redirect, else 0")
    trusted_proxies = Setting("OPSSIGHT_TRUSTED_PROXIES", kinds.PROXIES, WEB,
        "Which reverse proxies may say who the client is and that it came by HTTPS: how many stand in front, "
        "or their networks. Without it those headers are ignored.", default=kinds.TrustedProxies())
    session_seconds = Setting("OPSSIGHT_SESSION_SECONDS", kinds.duration(60, 366 * 86400), WEB,
        "How long a sign-in lasts.", default=14 * 86400.0)
    web_workers = Setting("OPSSIGHT_WEB_WORKERS", kinds.whole_number(1, 128), WEB,
        "Processes that answer web requests.", default=2)
    web_threads = Setting("OPSSIGHT_WEB_THREADS", kinds.whole_number(1, 128), WEB,
        "Threads in each web process.", default=4)
    hook_rate = Setting("OPSSIGHT_HOOK_RATE", kinds.RATE, WEB,
        "The ceiling of deliveries for one webhook; above it the answer is 429.",
        default=kinds.Rate(6000, 60))
    hook_refused_rate = Setting("OPSSIGHT_HOOK_REFUSED_RATE", kinds.RATE, WEB,
        "The ceiling of deliveries to one webhook that are not authentic; above it the answer is 429 "
        "and nothing is stored.", default=kinds.Rate(120, 60))
    hook_bytes = Setting("OPSSIGHT_HOOK_BYTES", kinds.SIZE, WEB,
        "The largest delivery that is read; above it the answer is 413.", default=25 * 10**6)
    copier_webhook = Setting("OPSSIGHT_COPIER_WEBHOOK", kinds.OPTIONAL_ID, WEB,
        "The id of the webhook whose deliveries also arrive at `/webhook` and `/events`, the addresses of an "
        "examples-copier. Without it those two answer 404.", derived="none")
    api_rate = Setting("OPSSIGHT_API_RATE", kinds.RATE, WEB,
        "The ceiling of API requests for one token or user.", default=kinds.Rate(1200, 60))
    signin_rate = Setting("OPSSIGHT_SIGNIN_RATE", kinds.RATE, WEB,
        "The ceiling of failed sign-ins for one account and for one address.", default=kinds.Rate(10, 60))

    sign_in = Setting("OPSSIGHT_SIGN_IN", kinds.choice("off", "linked", "email"), OAUTH,
        "Who signs in with an account at a forge whose application is registered. `linked`: who linked it on "
        "the account page, or was invited. `email`: also who has the e-mail address of an account, verified "
        "by the forge; trust each registered forge with that. `off`: nobody.", default="linked")
    sign_up_domains = Setting("OPSSIGHT_SIGN_UP_DOMAINS", kinds.LIST, OAUTH,
        "E-mail domains whose people get an account when they first sign in with a forge that verified their "
        "address. Empty: nobody new comes in without an invitation.", default=())

    github_client_id = _client_id("github", "github.com")
    github_client_secret = _client_secret("github")
    github_callback_url = _callback_url("github")
    gitlab_client_id = _client_id("gitlab", "gitlab.com")
    gitlab_client_secret = _client_secret("gitlab")
    gitlab_callback_url = _callback_url("gitlab")
    bitbucket_client_id = _client_id("bitbucket", "bitbucket.org")
    bitbucket_client_secret = _client_secret("bitbucket")
    bitbucket_callback_url = _callback_url("bitbucket")

    workers = Setting("OPSSIGHT_WORKERS", kinds.whole_number(1, 64), WORK,
        "How many runs this machine works on at once. More than 2 is for PostgreSQL.", default=2)
    lanes = Setting("OPSSIGHT_LANES", kinds.LIST, WORK,
        "The lanes of work this machine takes; empty means all.", default=())
    lease_seconds = Setting("OPSSIGHT_LEASE_SECONDS", kinds.duration(1, 3600), WORK,
        "After how long without a sign of life a run is given to another worker.", default=60.0)
    stall_seconds = Setting("OPSSIGHT_STALL_SECONDS", kinds.duration(1, 86400), WORK,
        "After how long without any progress (bytes, items) a running step is stopped.", default=300.0)
    poll_seconds = Setting("OPSSIGHT_POLL_SECONDS", kinds.duration(1, 86400), WORK,
        "How often a repository without a webhook is looked at, unless its job says otherwise.",
        default=120.0)
    max_attempts = Setting("OPSSIGHT_MAX_ATTEMPTS", kinds.whole_number(1, 100), WORK,
        "How often a run is tried when what stopped it may pass by itself.", default=5)

    proxy = Setting("OPSSIGHT_PROXY", kinds.url("http", "https"), OUTBOUND,
        "A proxy for requests to other hosts. `HTTP_PROXY` and its like are not read.",
        default="", secret=True)
    ca = Setting("OPSSIGHT_CA", kinds.OPTIONAL_PATH, OUTBOUND,
        "A PEM file with the authorities to trust for HTTPS to other hosts, in place of the built-in ones.",
        derived="the built-in ones")
    http_seconds = Setting("OPSSIGHT_HTTP_SECONDS", kinds.duration(1, 600), OUTBOUND,
        "How long one request to another host may take.", default=30.0)

    email_url = Setting("OPSSIGHT_EMAIL_URL", kinds.MAIL, MAIL,
        "The mail server: `smtps://user:password@host:465`, `smtp+starttls://user:password@host:587`, "
        "`smtp://host:25`, or `console:` to print mail.",
        default=kinds.MailServer("", 0, "", "", starttls=False, tls=False), secret=True)
    email_from = Setting("OPSSIGHT_EMAIL_FROM", kinds.TEXT, MAIL,
        "The sender of mail.", default="opssight@localhost")

    log_level = Setting("OPSSIGHT_LOG_LEVEL", kinds.choice("debug", "info", "warning", "error"), RECORDS,
        "What is logged: this level and above.", default="info")
    log_format = Setting("OPSSIGHT_LOG_FORMAT", kinds.choice("text", "json"), RECORDS,
        "How a log line is written.", derive=lambda env: "json" if env.production else "text",
        derived="json in production, else text")
    log_file = Setting("OPSSIGHT_LOG_FILE", kinds.OPTIONAL_PATH, RECORDS,
        "A file to log to in place of standard error. It is opened again after it was moved away.",
        derived="standard error")
    log_days = Setting("OPSSIGHT_LOG_DAYS", kinds.whole_number(1), RECORDS,
        "For how many days the logs of runs are kept.", default=30)
    delivery_days = Setting("OPSSIGHT_DELIVERY_DAYS", kinds.whole_number(1), RECORDS,
        "For how many days the bodies of webhook deliveries are kept.", default=30)
    run_days = Setting("OPSSIGHT_RUN_DAYS", kinds.whole_number(1), RECORDS,
        "For how many days finished runs are kept.", default=365)

    metrics_token = Setting("OPSSIGHT_METRICS_TOKEN", kinds.secret_text(16), METRICS,
        "The bearer token that `/metrics` asks for. Without it only this machine may read metrics.",
        default="", secret=True)
    anonymous_metrics = Setting("OPSSIGHT_ANONYMOUS_METRICS", kinds.BOOL, METRICS,
        "Show `/metrics` to everybody.", default=False)
    # fmt: on

    def __init__(self, values: Mapping[str, object], sources: Mapping[str, str]) -> None:
        """`values` and `sources` (`environment` or `file`) of those that were given, by variable."""
        self._values = dict(values)
        self._sources = dict(sources)
        self.warnings: list[str] = []

    def get(self, setting: Setting[T]) -> T:
        if setting.name not in self._values:
            self._values[setting.name] = setting.derive(self) if setting.derive else setting.default
        return cast("T", self._values[setting.name])

    def source(self, setting: Setting[Any]) -> str:
        """Where the value comes from: `environment`, `file` or `default`."""
        return self._sources.get(setting.name, "default")

    @property
    def production(self) -> bool:
        return self.mode == "production"

    def describe(self) -> Iterator[dict[str, str]]:
        """Name, value (never a secret), source and help of every setting, in order."""
        for setting in SETTINGS:
            value = self.get(setting)
            shown = "" if value is None else setting.kind.show(value)
            if setting.secret and self.source(setting) != "default":
                shown = "(set)"
            yield {"name": setting.name, "value": shown, "source": self.source(setting), "help": setting.help}


SETTINGS: tuple[Setting[Any], ...] = tuple(
    entry for entry in vars(Env).values() if isinstance(entry, Setting)
)


def load(environ: Mapping[str, str]) -> Env:
    """Read and check all settings. Raises `SettingsError` with every problem at once.

    An unknown `OPSSIGHT_*` name is no error: it is told in `Env.warnings`.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for setting in SETTINGS:
        try:
            text, source = _text(setting, environ)
            if text:
                values[setting.name] = _parse(setting, text)
                sources[setting.name] = source
                if setting.secret:
                    _hide(text, values[setting.name])
        except InvalidInput as error:
            problems.append((setting.name, error.sentence))
    env = Env(values, sources)
    env.warnings = list(_unknown(environ))
    if not problems:
        problems = list(_contradictions(env))
    if problems:
        count = "One setting" if len(problems) == 1 else f"{len(problems)} settings"
        raise SettingsError(f"{count} cannot be used.", problems)
    return env


def _text(setting: Setting[Any], environ: Mapping[str, str]) -> tuple[str, str]:
    """The stripped text and its source; set but empty counts as not set."""
    text = environ.get(setting.name, "").strip()
    file = environ.get(f"{setting.name}_FILE", "").strip() if setting.secret else ""
    if text and file:
        raise InvalidInput(f"{setting.name} and {setting.name}_FILE are both set: keep one of them.")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip(), "file"
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise InvalidInput(f"{setting.name}_FILE names {file}, which cannot be read: {reason}.") from None
    if not text and setting.alias:
        text = environ.get(setting.alias, "").strip()
    return text, "environment"


def _parse(setting: Setting[Any], text: str) -> object:
    try:
        return setting.kind.parse(text)
    except ValueError:
        given = "has a value that" if setting.secret else f'is "{text}", which'
        raise InvalidInput(f"{setting.name} {given} cannot be used: give {setting.kind.accepts}.") from None


def _hide(text: str, value: object) -> None:
    """Keep a secret setting out of logs: as it was given, and the password within it."""
    for part in (text, *text.split(","), getattr(value, "password", "")):
        redact.register(part.strip())


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [name for s in SETTINGS for name in ([s.name, f"{s.name}_FILE"] if s.secret else [s.name])]
    bare = [name.removeprefix("OPSSIGHT_") for name in known]
    for name in sorted(environ):
        if name.startswith("OPSSIGHT_") and not name.startswith(_FOREIGN) and name not in known:
            near = difflib.get_close_matches(name.removeprefix("OPSSIGHT_"), bare, n=1)
            hint = f" Did you mean OPSSIGHT_{near[0]}?" if near else ""
            yield f"{name} is not a setting and is ignored.{hint}"


def _contradictions(env: Env) -> Iterator[tuple[str, str]]:
    """What is right in itself and wrong together: (variable, what is wrong and what to do)."""
    rules = _EVERYWHERE + _PRODUCTION if env.production else _EVERYWHERE
    for setting, wrong, sentence in rules:
        if wrong(env):
            shown = setting.kind.show(env.get(setting))
            yield setting.name, f"{setting.name} {sentence.format(value=shown)}"


def _loopback(address: str) -> bool:
    return address == "localhost" or ipaddress.ip_address(address).is_loopback


_Rule = tuple[Setting[Any], Callable[[Env], bool], str]
_EVERYWHERE: tuple[_Rule, ...] = (
    (
        Env.bind,
        lambda env: not (_loopback(env.bind) or env.https_redirect or env.allow_http),
        "is {value}, which other machines reach by plain HTTP: use 127.0.0.1, or OPSSIGHT_MODE=production "
        "behind HTTPS, or set OPSSIGHT_ALLOW_HTTP=1 if that is meant.",
    ),
    (
        Env.signing_key,
        lambda env: bool(env.signing_key) and not kinds.opens(env.signing_key, env.signing_passphrase),
        "cannot sign: give an ed25519, ecdsa or rsa key (2048 bits or more) of OpenSSH or an OpenPGP key "
        "that has not expired, and its passphrase, if it has one, in OPSSIGHT_SIGNING_PASSPHRASE.",
    ),
)
_PRODUCTION: tuple[_Rule, ...] = (
    (Env.debug, lambda env: env.debug, "shows settings to visitors: unset it in production."),
    (
        Env.public_url,
        lambda env: env.source(Env.public_url) == "default",
        "is not set: production needs the address people use, such as https://opssight.example.org.",
    ),
    (
        Env.public_url,
        lambda env: (
            env.source(Env.public_url) != "default"
            and env.public_url.startswith("http:")
            and not env.allow_http
        ),
        "is {value}: use https://, or set OPSSIGHT_ALLOW_HTTP=1 if plain HTTP is meant.",
    ),
    (Env.hosts, lambda env: "*" in env.hosts, "is {value}: name the hosts in production."),
)
