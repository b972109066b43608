"""Forms of connections and webhooks; a connection's fields are those that its provider declares."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.html import escape

from opssight.accounts.models import Team
from opssight.core.words import join_words
from repos.models import Connection
from repos.providers.base import Provider
from repos.providers.folder.provider import FolderProvider
from repos.providers.forge import Forge
from repos.providers.registry import all_schemes
from repos.providers.types import Field, FieldKind

_TOKENS: Final = {
    "ghp_": "github",
    "github_pat_": "github",
    "gho_": "github",
    "glpat-": "gitlab",
    "ATATT": "bitbucket",
    "ATCTT": "bitbucket",
}
_HOSTS: Final = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
_GITEA_HOSTS: Final = ("codeberg.org", "gitea.com")
_SCP: Final = re.compile(r"[\w.-]+@[\w.-]+:[^/].*")


@dataclass(frozen=True)
class Recognised:
    """What a pasted text is: a provider with its first values, or a sentence that says why it is none."""

    provider: str = ""
    initial: Mapping[str, str] | None = None
    sentence: str = ""


def recognise(text: str) -> Recognised:
    """The provider that a pasted token, folder or address belongs to. A password in it is left out."""
    pasted = text.strip()
    provider = next((kind for prefix, kind in _TOKENS.items() if pasted.startswith(prefix)), "")
    if provider:
        return Recognised(provider, {"token": pasted})
    if pasted.startswith("/"):
        return Recognised("folder", {"root": pasted})
    if re.match(r"(?:https?|ssh)://", pasted) or _SCP.fullmatch(pasted):
        return _recognised_host(re.sub(r"^(https?://)[^/@]*@", r"\1", pasted))
    return Recognised(
        sentence="If it is a token, choose its forge below. Else enter a folder of this machine (such as "
        "/srv/git) or the address of a repository (such as https://git.example.org/team/site.git)."
    )


def _recognised_host(url: str) -> Recognised:
    """A forge by its host; on any other server the address is that of one repository."""
    host = re.sub(r"^\w+://(?:[^/@]*@)?|^[\w.-]+@", "", url).partition("/")[0].partition(":")[0].lower()
    if host in _HOSTS:
        return Recognised(_HOSTS[host], {})
    if host in _GITEA_HOSTS:
        return Recognised("gitea", {"url": f"https://{host}"})
    return Recognised("plain", {"urls": url})


class ConnectionForm(forms.Form):
    """Name and declared fields of a connection. `stored` names the secrets that are kept when left empty."""

    name = forms.CharField(
        label="Name", max_length=100, help_text="How it is called here, such as “Acme git”."
    )

    def __init__(
        self,
        provider: type[Provider],
        *args: Any,
        stored: Collection[str] = (),
        proxied: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        self.made_key = ""  # a private key that was made here and waits in the session
        for field in provider.fields:
            self.fields[field.name] = _form_field(field, field.name in stored)
            if field.is_secret and not stored and issubclass(provider, Forge):
                self.fields[field.name].required = True  # what has none is connected by a button
            if field.name in stored and not field.required:
                self.fields[f"remove_{field.name}"] = forms.BooleanField(
                    label=f"Remove the stored {field.label.lower()}", required=False
                )
        if provider.kind != FolderProvider.kind:
            self.fields |= _network_fields(proxied)

    @property
    def main(self) -> list[forms.BoundField]:
        return [bound for bound in self if bound.name not in _NETWORK]

    @property
    def network(self) -> list[forms.BoundField]:
        """What few need: an authority of one's own, a proxy."""
        return [bound for bound in self if bound.name in _NETWORK]

    @property
    def network_opens(self) -> bool:
        """Whether something is entered or wrong there."""
        return any(bound.errors or bound.value() for bound in self.network)

    @property
    def ca(self) -> str:
        given: str = self.cleaned_data.get("ca", "")
        return given

    @property
    def proxy(self) -> str | None:
        """The proxy that was entered, "" to remove it; None keeps the one that is stored."""
        if self.cleaned_data.get("remove_proxy"):
            return ""
        return self.cleaned_data.get("proxy") or None

    @property
    def options(self) -> dict[str, str]:
        return {field.name: self.cleaned_data[field.name] for field in self._declared(secret=False)}

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that were entered, and "" for those to remove."""
        found = {}
        for field in self._declared(secret=True):
            value = self.cleaned_data[field.name].replace("\r\n", "\n")
            if value or self.cleaned_data.get(f"remove_{field.name}"):
                found[field.name] = value
        if self.made_key and not found.get("private_key") and self._names_ssh():
            found["private_key"] = self.made_key
        return found

    def _names_ssh(self) -> bool:
        lines = self.cleaned_data.get("urls", "").split()
        return any(not line.startswith(("http://", "https://")) for line in lines)

    def _declared(self, *, secret: bool) -> list[Field]:
        return [field for field in self.provider.fields if field.is_secret == secret]


_NETWORK: Final = ("ca", "proxy", "remove_proxy")


def _network_fields(proxied: bool) -> dict[str, forms.Field]:
    found: dict[str, forms.Field] = {
        "ca": forms.CharField(
            label="Certificate authority",
            required=False,
            widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono"}),
            help_text="In PEM form, when the server's certificate is signed by an authority of your own.",
        ),
        "proxy": forms.CharField(
            label="Proxy",
            required=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
            help_text=(
                "One is stored. Leave this empty to keep it."
                if proxied
                else "Such as http://user:password@proxy.example.org:3128. An administrator has to allow an "
                "address that is not public."
            ),
        ),
    }
    if proxied:
        found["remove_proxy"] = forms.BooleanField(label="Remove the stored proxy", required=False)
    return found


_WIDGETS: Final[dict[FieldKind, type[forms.Widget]]] = {
    "text": forms.TextInput,
    "path": forms.TextInput,
    "lines": forms.Textarea,
    "secret": forms.PasswordInput,
    "secret_lines": forms.Textarea,
}


def _form_field(field: Field, stored: bool) -> forms.Field:
    attrs: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
    if field.kind == "secret":
        attrs["autocomplete"] = "new-password"
    if field.kind in ("lines", "secret_lines"):
        attrs["rows"] = 4
    if field.kind == "path":
        attrs["class"] = "mono"
    help_text = f"{field.help} {_roots()}" if field.kind == "path" else field.help
    if stored:
        help_text = f"One is stored. Leave this empty to keep it. {field.help}"
    return forms.CharField(
        label=field.label,
        help_text=help_text.strip(),
        required=field.required and not stored,
        strip=not field.is_secret,
        widget=_WIDGETS[field.kind](attrs=attrs),
    )


def _roots() -> str:
    """Which folders may be named in the browser."""
    roots = [str(root) for root in settings.FOLDER_ROOTS]
    if not roots:
        return (
            "No folder may be used in the browser yet: an administrator sets OPSSIGHT_FOLDER_ROOTS, or adds "
            "the connection on the command line."
        )
    return escape(f"It must be below {join_words(roots)}.")  # help is shown as HTML


class WebhookForm(forms.Form):
    """A new webhook. `repository` is bound by the page that leads here."""

    scheme = forms.ChoiceField(label="Who sends", widget=forms.RadioSelect)
    name = forms.CharField(label="Name", max_length=100, required=False, help_text="How it is called here.")
    connection = forms.ModelChoiceField(
        label="About repositories of",
        queryset=Connection.objects.none(),
        required=False,
        empty_label="any connection of the team",
        help_text="Deliveries name the repository; it is looked up there.",
    )
    secret = forms.CharField(
        label="Secret",
        max_length=500,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Leave it empty and a strong one is made.",
    )

    def __init__(self, team: Team, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(scheme.scheme, f"{scheme.label}|{scheme.help}") for scheme in all_schemes()]
        scheme_field, connection_field = self.fields["scheme"], self.fields["connection"]
        assert isinstance(scheme_field, forms.ChoiceField)  # noqa: S101 - declared above
        assert isinstance(connection_field, forms.ModelChoiceField)  # noqa: S101
        scheme_field.choices = choices
        scheme_field.initial = choices[0][0]
        connection_field.queryset = Connection.objects.filter(team=team).order_by("name")
