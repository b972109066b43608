"""GitHub Apps of the stand-in: made from a manifest, installed by a person, with tokens of an hour.

    forge.own_organization("acme", admin="ana")
    code = forge.confirm(address, manifest)      # the person presses the button at GitHub

Deliveries of an app name the installation, and go to the app's one webhook beside those of repositories.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.forges.github_refused import Refused, error
from tests.forges.github_shapes import repository_json, user_json
from tests.forges.people import GitHubPeople
from tests.forges.standin import Asked, Hook, Reply, Repo, Token, route

_WHEN = "2026-11-01T08:00:00Z"
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_UNKNOWN_TO_THE_DESCRIPTION = ("/api/v3/user/memberships/",)


@dataclasses.dataclass
class App:
    id: int
    slug: str
    manifest: dict[str, Any]
    client_id: str
    client_secret: str
    key: rsa.RSAPrivateKey
    hook: Hook | None
    owner: str

    @property
    def pem(self) -> str:
        form, none = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, none).decode()


@dataclasses.dataclass
class Installed:
    id: int
    app: App
    account: str
    repositories: list[int]
    suspended: bool = False


class GitHubWithApp(GitHubPeople):
    """`organizations`: the role of each member. `token_seconds`: how long tokens of installations last."""

    api_prefix = (  # type: ignore[assignment]
        "/api/",
        "/login/oauth/",
        "/settings/",
        "/organizations/",
        "/github-apps/",
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.organizations: dict[str, dict[str, str]] = {}
        self.made: dict[str, App] = {}  # by the code that was not used yet
        self.github_apps: dict[int, App] = {}
        self.installed: dict[int, Installed] = {}
        self.of_installation: dict[str, Installed] = {}  # by token
        self.token_seconds = 3_600
        self.minted = 0  # tokens of installations

    # --- what a person does in the browser ------------------------------------------------------------

    def own_organization(self, name: str, admin: str, *members: str) -> None:
        self.organizations[name] = {admin: "admin"} | dict.fromkeys(members, "member")

    def confirm(self, address: str, manifest: str) -> str:
        """The person presses the button; where the browser is sent back to."""
        page = httpx.post(address, data={"manifest": manifest})
        assert page.status_code == 200, page.text
        owner = address.partition("/organizations/")[2].partition("/")[0] or self.signed_in
        confirmed = f"{self.url}/settings/apps/confirmed?{urlsplit(address).query}&owner={owner}"
        answer = httpx.post(confirmed, data={"manifest": manifest})
        return str(answer.headers["location"])

    def install(self, address: str, account: str, *repositories: Repo) -> str:
        """The person chooses an account and its repositories; where the browser is sent back to."""
        ids = ",".join(str(repo.id) for repo in repositories)
        answer = httpx.post(address, data={"account": account, "repositories": ids})
        return str(answer.headers["location"])

    def uninstall(self, number: int) -> None:
        self._tell_app(self.installed[number], "installation", {"action": "deleted"})
        del self.installed[number]

    def suspend(self, number: int, *, suspended: bool = True) -> None:
        self.installed[number].suspended = suspended
        action = "suspend" if suspended else "unsuspend"
        self._tell_app(self.installed[number], "installation", {"action": action})

    def select(self, number: int, repo: Repo, *, seen: bool) -> None:
        one = self.installed[number]
        (one.repositories.append if seen else one.repositories.remove)(repo.id)
        name = "repositories_added" if seen else "repositories_removed"
        item = {"id": repo.id, "name": repo.name, "full_name": repo.full_name, "private": True}
        payload = {"action": "added" if seen else "removed", "repository_selection": "selected"}
        more = {"repositories_added": [], "repositories_removed": [], name: [item], "requester": None}
        self._tell_app(one, "installation_repositories", {**payload, **more})

    # --- every request ----------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        if not asked.path.startswith("/api/") and not asked.path.startswith("/login/"):
            for method, pattern, name in self._routes:
                match = pattern.fullmatch(asked.path) if method == asked.method else None
                if match:
                    reply: Reply = getattr(self, name)(asked, *match.groups())
                    return reply
            return Reply(404, raw=b"<h1>Not found</h1>", headers=_HTML)
        if asked.path.startswith("/api/v3/app-manifests/"):
            return self._convert(asked, asked.path.split("/")[4])
        value = asked.headers.get("authorization", "").partition(" ")[2]
        self.speaking = self.of_installation.get(value)
        if self.speaking and asked.path.startswith("/api/v3/user"):
            return error(403, "Resource not accessible by integration")
        return super().answer(asked)

    def _compare(self, asked: Asked, reply: Reply) -> None:
        if not asked.path.startswith(_UNKNOWN_TO_THE_DESCRIPTION):
            super()._compare(asked, reply)

    def token_of(self, value: str) -> Token | None:
        if value.count(".") != 2:
            return super().token_of(value)
        self.app = self._app_of(value)
        return Token(self.app.slug) if self.app else None

    def _app_of(self, value: str) -> App | None:
        """Whose token it is, if it is signed well and lasts ten minutes at most."""
        try:
            named = jwt.decode(value, options={"verify_signature": False})
            app = self.github_apps[int(named["iss"])]
            claims = jwt.decode(value, app.key.public_key(), ["RS256"], options={"verify_iat": True})
        except (jwt.InvalidTokenError, KeyError, ValueError):
            return None
        return app if claims["exp"] - dt.datetime.now(dt.UTC).timestamp() <= 600 else None

    # --- making an app ----------------------------------------------------------------------------------

    @route("POST", r"/settings/apps/new")
    def new_app(self, asked: Asked) -> Reply:
        return self._asked_for(asked, self.signed_in)

    @route("POST", r"/organizations/([^/]+)/settings/apps/new")
    def new_app_of(self, asked: Asked, owner: str) -> Reply:
        if self.organizations.get(owner, {}).get(self.signed_in) != "admin":
            return Reply(404, raw=b"<h1>Not found</h1>", headers=_HTML)
        return self._asked_for(asked, owner)

    def _asked_for(self, asked: Asked, owner: str) -> Reply:
        manifest = json.loads(parse_qs(asked.body.decode())["manifest"][0])
        wrong = [name for name in ("name", "url", "redirect_url") if not manifest.get(name)]
        if wrong or len(manifest["name"]) > 34:
            return Reply(422, raw=f"<h1>Wrong: {wrong}</h1>".encode(), headers=_HTML)
        action = f"/settings/apps/confirmed?{asked.raw_query}&owner={owner}"
        hidden = f'<input type=hidden name=manifest value="{html.escape(json.dumps(manifest))}">'
        form = f'<form method=post action="{html.escape(action)}">{hidden}<button>Create</button></form>'
        page = f"<!doctype html><title>GitHub</title><h1>Create GitHub App for {owner}?</h1>{form}"
        return Reply(200, raw=page.encode(), headers=_HTML)

    @route("POST", r"/settings/apps/confirmed")
    def confirmed(self, asked: Asked) -> Reply:
        manifest = json.loads(parse_qs(asked.body.decode())["manifest"][0])
        number, code = self.next_id(), secrets.token_hex(20)
        given = manifest.get("hook_attributes") or {}
        hook = None
        if given.get("url"):
            events = [*manifest.get("default_events", []), "installation", "installation_repositories"]
            hook = Hook(str(self.next_id()), given["url"], secrets.token_hex(20), events)
        key = rsa.generate_private_key(65537, 2048)
        slug = manifest["name"].lower().replace(" ", "-").replace(".", "-").replace(":", "-")
        client = f"Iv23{secrets.token_hex(8)}"
        self.made[code] = App(
            number, slug, manifest, client, secrets.token_hex(20), key, hook, asked.query["owner"]
        )
        query = urlencode({"code": code, "state": asked.query["state"]})
        return Reply(302, headers={"Location": f"{manifest['redirect_url']}?{query}"})

    def _convert(self, asked: Asked, code: str) -> Reply:
        app = self.made.pop(code, None)
        if app is None:
            return error(404, "Not Found")
        self.github_apps[app.id] = app
        self.apps[app.client_id] = app.client_secret
        data = {
            "id": app.id,
            "slug": app.slug,
            "node_id": "A_kw",
            "owner": user_json(self.url, self.signed_in),
            "name": app.manifest["name"],
            "description": None,
            "external_url": app.manifest["url"],
            "html_url": f"{self.url}/github-apps/{app.slug}",
            "created_at": _WHEN,
            "updated_at": _WHEN,
            "permissions": app.manifest["default_permissions"],
            "events": app.manifest.get("default_events", []),
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "webhook_secret": app.hook.secret if app.hook else None,
            "pem": app.pem,
        }
        reply = Reply(201, data)
        self._compare(asked, reply)
        return reply

    # --- installing it -----------------------------------------------------------------------------------

    @route("GET", r"/github-apps/([^/]+)/installations/new")
    def choose_where(self, asked: Asked, slug: str) -> Reply:
        """Everything that the account has, with one press."""
        forms = ""
        for account in [self.signed_in, *self.organizations]:
            ids = ",".join(str(repo.id) for repo in self.repositories.values() if repo.owner == account)
            fields = f"<input type=hidden name=account value={account}>"
            fields += f'<input type=hidden name=repositories value="{ids}">'
            forms += f"<form method=post>{fields}<button>Install at {account}</button></form>"
        page = f"<!doctype html><title>GitHub</title><h1>Install {slug}</h1>{forms}"
        return Reply(200, raw=page.encode(), headers=_HTML)

    @route("POST", r"/github-apps/([^/]+)/installations/new")
    def new_installation(self, asked: Asked, slug: str) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        app = next(one for one in self.github_apps.values() if one.slug == slug)
        if form["account"] != app.owner and not app.manifest["public"]:
            return Reply(404, raw=b"<h1>This app is for its owner only.</h1>", headers=_HTML)
        ids = [int(number) for number in form.get("repositories", "").split(",") if number]
        one = Installed(self.next_id(), app, form["account"], ids)
        self.installed[one.id] = one
        self._tell_app(one, "installation", {"action": "created"})
        query = {"installation_id": one.id, "setup_action": "install"}
        query |= {"state": asked.query["state"]} if "state" in asked.query else {}
        return Reply(302, headers={"Location": f"{app.manifest['setup_url']}?{urlencode(query)}"})

    @route("GET", r"/api/v3/user/installations")
    def user_installations(self, asked: Asked) -> Reply:
        """Also those of which one only sees a repository."""
        login = self.me.login
        seen = [
            self._json(one)
            for one in self.installed.values()
            if one.account == login or login in self.organizations.get(one.account, {})
        ]
        return Reply(200, {"total_count": len(seen), "installations": seen})

    @route("GET", r"/api/v3/user/memberships/orgs/([^/]+)")
    def membership(self, asked: Asked, name: str) -> Reply:
        role = self.organizations.get(name, {}).get(self.me.login)
        if role is None:
            return error(404, "Not Found")
        return Reply(200, {"state": "active", "role": role, "organization": {"login": name}})

    @route("GET", r"/api/v3/app/installations/(\d+)")
    def installation(self, asked: Asked, number: str) -> Reply:
        return Reply(200, self._json(self._of_app(number)))

    @route("POST", r"/api/v3/app/installations/(\d+)/access_tokens")
    def installation_token(self, asked: Asked, number: str) -> Reply:
        one = self._of_app(number)
        if one.suspended:
            return error(403, "This installation has been suspended")
        self.minted += 1
        value = f"ghs_{secrets.token_hex(18)}"
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.token_seconds)
        self.tokens[value] = Token(f"{one.app.slug}[bot]", ["repo"], ends)
        self.of_installation[value] = one
        permissions = one.app.manifest["default_permissions"]
        data = {"token": value, "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "permissions": permissions}
        return Reply(201, {**data, "repository_selection": "selected"})

    @route("GET", r"/api/v3/installation/repositories")
    def installation_repositories(self, asked: Asked) -> Reply:
        if self.speaking is None:
            return error(403, "You must authenticate with an installation access token")
        seen = [repo for repo in self.repositories.values() if repo.id in self.speaking.repositories]
        reply = self.page(asked, seen, lambda repo: repository_json(self.url, repo))
        reply.data = {
            "total_count": len(seen),
            "repository_selection": "selected",
            "repositories": reply.data,
        }
        return reply

    def _of_app(self, number: str) -> Installed:
        one = self.installed.get(int(number))
        if self.app is None or one is None or one.app is not self.app:
            raise Refused(error(404, "Not Found"))
        return one

    def _json(self, one: Installed) -> dict[str, Any]:
        organization = one.account in self.organizations
        account = user_json(self.url, one.account) | {"type": "Organization" if organization else "User"}
        api = f"{self.api}/app/installations/{one.id}"
        return {
            "id": one.id,
            "app_id": one.app.id,
            "app_slug": one.app.slug,
            "client_id": one.app.client_id,
            "account": account,
            "target_id": account["id"],
            "target_type": account["type"],
            "repository_selection": "selected",
            "access_tokens_url": f"{api}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.url}/settings/installations/{one.id}",
            "permissions": one.app.manifest["default_permissions"],
            "events": one.app.manifest.get("default_events", []),
            "created_at": _WHEN,
            "updated_at": _WHEN,
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": _WHEN if one.suspended else None,
        }

    # --- webhooks -----------------------------------------------------------------------------------------

    def send(self, repo: Repo, event: str, payload: Mapping[str, Any]) -> None:
        super().send(repo, event, payload)
        for one in self.installed.values():
            if repo.id in one.repositories and not one.suspended:
                self._tell_app(one, event, payload)

    def _tell_app(self, one: Installed, event: str, payload: Mapping[str, Any]) -> None:
        hook = one.app.hook
        if hook is None or event not in hook.events:
            return
        small = {"id": one.id, "node_id": "MDIz"}
        whole = self._json(one) if event.startswith("installation") else small
        sender = {"sender": user_json(self.url, self.signed_in)} if "sender" not in payload else {}
        body = json.dumps({**payload, **sender, "installation": whole}).encode()
        headers = self.signed(hook, event, body) | {"X-GitHub-Hook-Installation-Target-Type": "integration"}
        self._outbox.put((hook, event, headers, body))
