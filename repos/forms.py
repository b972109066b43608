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
        sentence="This is neither a token, nor a folder of this machine (such as /srv/git), nor an "
        "address of a repository (such as https://git.example.org/team/site.git)."
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
        self, provider: type[Provider], *args: Any, stored: Collection[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        for field in provider.fields:
            self.fields[field.name] = _form_field(field, field.name in stored)
            if field.name in stored and not field.required:
                self.fields[f"remove_{field.name}"] = forms.BooleanField(
                    label=f"Remove the stored {field.label.lower()}", required=False
                )

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
        return found

    def _declared(self, *, secret: bool) -> list[Field]:
        return [field for field in self.provider.fields if field.is_secret == secret]


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
