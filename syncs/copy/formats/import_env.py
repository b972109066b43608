"""The environment of an examples-copier deployment in OpsSight's terms.

Secrets are never repeated: the commands take them from where they are, a file or the environment.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import load

_LINE: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAGS: Final = frozenset({"COPIER_DEBUG", "DEFAULT_PR_MERGE", "DRY_RUN"})
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_LEVELS: Final = {"debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"}

Environment = Mapping[str, str]


@dataclass
class Imported:
    """What the variables become: settings to set, commands to run in their order, keys of the
    configuration file, and a sentence for each variable that needs one. `unknown` are not the
    copier's."""

    settings: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    defaults: dict[str, object] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        return {
            "settings": self.settings,
            "commands": self.commands,
            "defaults": self.defaults,
            "notes": [{"variable": name, "sentence": sentence} for name, sentence in self.notes],
            "unknown": self.unknown,
        }

    def text(self) -> str:
        """For a person: lines of a shell. What is neither a setting nor a command is a comment."""
        lines = ["# Settings of OpsSight"]
        lines += [f"{name}={shlex.quote(value)}" for name, value in self.settings.items()]
        lines += ["", "# Commands, in this order", *self.commands]
        if self.defaults:
            told = yaml.safe_dump({"defaults": self.defaults}, sort_keys=False, allow_unicode=True)
            lines += ["", "# Into the configuration file, where a rule does not say otherwise"]
            lines += [f"# {line}" for line in told.rstrip().splitlines()]
        lines += ["", "# About the other variables", *(f"# {name}: {text}" for name, text in self.notes)]
        lines += [f"# {name}: not a variable of the copier; left out." for name in self.unknown]
        return "\n".join(lines)


def variables_in(text: bytes) -> dict[str, str]:
    """The variables of a `.env` file or of a YAML file with them (also below `env_variables`).

    Raises InvalidInput naming the line that cannot be read; its value is not repeated.
    """
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput("The file is not UTF-8; save it as UTF-8 text.") from None
    told = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    told = [(number, line) for number, line in told if line and not line.startswith("#") and line != "---"]
    if told and not _LINE.fullmatch(told[0][1]):
        return _from_yaml(text)
    found: dict[str, str] = {}
    for number, line in told:
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidInput(f"Line {number} is not NAME=VALUE.")
        found[match[1]] = _shown(_unquoted(match[2]))
    return found


def _from_yaml(text: bytes) -> dict[str, str]:
    try:
        data = load(text)
    except InvalidInput as error:  # its sentence may have a part of a value
        where = next((place for place, _ in error.problems), "")
        place = f" at line {where.replace(':', ', column ')}" if where else ""
        raise InvalidInput(f"The file is not readable YAML{place}. Quote the value there.") from None
    if isinstance(data, dict) and isinstance(data.get("env_variables"), dict):
        data = data["env_variables"]
    if not isinstance(data, dict):
        raise InvalidInput("The file has neither lines of NAME=VALUE nor YAML keys with values.")
    return {
        name: "" if value is None else _shown(str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in data.items()
        if _NAME.fullmatch(name) and not isinstance(value, dict | list)
    }


def _shown(text: str) -> str:
    """A value as it may stand in a line of a shell's script, also in a comment."""
    return "".join(char if char.isprintable() else " " for char in text)[:1_000]


def _unquoted(text: str) -> str:
    text = text.strip()
    for quote in ('"', "'"):
        if text.startswith(quote):
            return text[1:].partition(quote)[0]
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def imported(variables: Environment) -> Imported:
    """What the copier's variables become."""
    found = Imported()
    _settings(variables, found)
    _connection(variables, found)
    _webhook(variables, found)
    _configuration(variables, found)
    _defaults(variables, found)
    for name in variables:
        if name in _NOT_NEEDED:
            found.notes.append((name, _NOT_NEEDED[name]))
        elif name in _FLAGS and not _is_true(variables, name):
            found.notes.append((name, "is off, as it is here by itself."))
        elif name not in _USED:
            found.unknown.append(name)
    return found


def _settings(variables: Environment, found: Imported) -> None:
    if variables.get("PORT"):
        found.settings["OPSSIGHT_PORT"] = variables["PORT"]
    level = _LEVELS.get(variables.get("LOG_LEVEL", "").lower())
    if variables.get("LOG_LEVEL") and not level:
        found.notes.append(("LOG_LEVEL", f"is none of {', '.join(_LEVELS)}; left out."))
    if _is_true(variables, "COPIER_DEBUG"):
        level = "debug"
    if level:
        found.settings["OPSSIGHT_LOG_LEVEL"] = level
    retries = variables.get("WEBHOOK_MAX_RETRIES", "")
    if retries.isdecimal() and int(retries) < 100:
        found.settings["OPSSIGHT_MAX_ATTEMPTS"] = str(int(retries) + 1)
    elif retries:
        found.notes.append(("WEBHOOK_MAX_RETRIES", "is no number below 100; left out."))


def _connection(variables: Environment, found: Imported) -> None:
    if not any(variables.get(name) for name in ("GITHUB_APP_ID", "INSTALLATION_ID", "CONFIG_REPO_OWNER")):
        return
    found.commands.append("opssight connection add github --provider github --secret token=env:GITHUB_TOKEN")
    found.commands.append("opssight repo import github --all")
    found.notes.append(
        (
            "GITHUB_APP_ID",
            "the app of the copier stays with it. Make one here under Connections, with the same rights, "
            "or connect with a token, as the first command does.",
        )
    )


def _webhook(variables: Environment, found: Imported) -> None:
    """The secret's own value never shows: it is read from the environment or a file."""
    if not any(variables.get(name) for name in ("WEBHOOK_SECRET", "WEBHOOK_SECRET_NAME", "WEBSERVER_PATH")):
        return
    source = "env:WEBHOOK_SECRET" if variables.get("WEBHOOK_SECRET") else "file:PATH_OF_THE_SECRET"
    found.commands.append(f"opssight hook add --provider github --name copier --secret {source}")
    found.settings["OPSSIGHT_COPIER_WEBHOOK"] = "ID_THAT_HOOK_ADD_PRINTS"
    path = variables.get("WEBSERVER_PATH", "")
    if path and path.rstrip("/") not in ("/webhook", "/events"):
        found.notes.append(
            (
                "WEBSERVER_PATH",
                "deliveries are taken at /webhook and /events; change the address at GitHub from this one.",
            )
        )


def _configuration(variables: Environment, found: Imported) -> None:
    owner, name = variables.get("CONFIG_REPO_OWNER", ""), variables.get("CONFIG_REPO_NAME", "")
    file = variables.get("MAIN_CONFIG_FILE") or variables.get("CONFIG_FILE") or "copier-config.yaml"
    quoted = shlex.quote(f"./{file}" if file.startswith("-") else file)
    found.commands.append(f"opssight copy validate {quoted}")
    if owner and name:
        branch = variables.get("CONFIG_REPO_BRANCH") or "main"
        found.notes.append(
            (
                "CONFIG_REPO_NAME",
                f"import {file} of {owner}/{name}, branch {branch}, under Copy, Import a file: it is read "
                "again whenever a push changes it.",
            )
        )


def _defaults(variables: Environment, found: Imported) -> None:
    strategy: dict[str, object] = {}
    kind = variables.get("COPIER_COMMIT_STRATEGY", "").lower()
    if kind in ("direct", "pr"):
        strategy["type"] = "pull_request" if kind == "pr" else "direct"
    elif kind:
        found.notes.append(("COPIER_COMMIT_STRATEGY", "is neither direct nor pr; left out."))
    if variables.get("DEFAULT_COMMIT_MESSAGE"):
        strategy["commit_message"] = variables["DEFAULT_COMMIT_MESSAGE"]
    if _is_true(variables, "DEFAULT_PR_MERGE"):
        strategy["auto_merge"] = True
    if strategy:
        found.defaults["commit_strategy"] = strategy
    if variables.get("DEPRECATION_FILE"):
        found.defaults["deprecation_check"] = {"enabled": True, "file": variables["DEPRECATION_FILE"]}
    if _is_true(variables, "DRY_RUN"):
        found.notes.append(
            (
                "DRY_RUN",
                "set the imported rules to shadow: they plan and report, and write nothing. The copier never "
                "looked at this variable.",
            )
        )
    if variables.get("SLACK_WEBHOOK_URL"):
        channel = variables.get("SLACK_CHANNEL", "")
        place = f" (it went to {channel})" if channel else ""
        found.notes.append(
            (
                "SLACK_WEBHOOK_URL",
                f"add a Slack channel under Notices with this address{place}; the name and the picture are "
                "set at Slack.",
            )
        )


def _is_true(variables: Environment, name: str) -> bool:
    return variables.get(name, "").lower() in _TRUE


_KNOWN_LIMITS: Final = (
    "is not needed: the forge's limits are read from its answers, and what fails is tried again."
)
_IN_DATABASE: Final = "is not needed: the audit log is in OpsSight's own database and cannot be switched off."
_CLOUD: Final = "is not needed: logs go to standard error or OPSSIGHT_LOG_FILE, secrets are stored encrypted."
_SLACK: Final = "is set at Slack, for the incoming webhook."
_APP: Final = (
    "is not needed: an app that is made here keeps its own, and an installation is found by its account."
)

_COMMITTER: Final = "is not taken over: commits are by OpsSight, or by the author at the source (authors)."
_MERGING: Final = "is not needed: the forge merges by itself, or it is merged after its checks."

_NOT_NEEDED: Final[Mapping[str, str]] = {
    "ENV": "is not needed: OPSSIGHT_MODE tells a production installation.",
    "USE_MAIN_CONFIG": "is not needed: the format of a file is seen by its keys.",
    "GITHUB_APP_CLIENT_ID": _APP,
    "INSTALLATION_ID": _APP,
    "PEM_NAME": _APP,
    "GITHUB_APP_PRIVATE_KEY_B64": _APP,
    "SKIP_SECRET_MANAGER": _CLOUD,
    "GOOGLE_CLOUD_PROJECT_ID": _CLOUD,
    "COPIER_LOG_NAME": _CLOUD,
    "COPIER_DISABLE_CLOUD_LOGGING": _CLOUD,
    "COMMITTER_NAME": _COMMITTER,
    "COMMITTER_EMAIL": _COMMITTER,
    "DEFAULT_RECURSIVE_COPY": "is not needed: recursive_copy counts for each folder and is true by itself.",
    "AUDIT_ENABLED": _IN_DATABASE,
    "MONGO_URI": _IN_DATABASE,
    "MONGO_URI_SECRET_NAME": _IN_DATABASE,
    "AUDIT_DATABASE": _IN_DATABASE,
    "AUDIT_COLLECTION": _IN_DATABASE,
    "METRICS_ENABLED": "is not needed: /metrics is there; OPSSIGHT_METRICS_TOKEN guards it.",
    "SLACK_USERNAME": _SLACK,
    "SLACK_ICON_EMOJI": _SLACK,
    "SLACK_ENABLED": "is not needed: a channel that is there is used.",
    "GITHUB_API_MAX_RETRIES": _KNOWN_LIMITS,
    "GITHUB_API_INITIAL_RETRY_DELAY": _KNOWN_LIMITS,
    "PR_MERGE_POLL_MAX_ATTEMPTS": _MERGING,
    "PR_MERGE_POLL_INTERVAL": _MERGING,
    "CONFIG_CACHE_TTL_SECONDS": "is not needed: a file is read again when a push changes it.",
    "WEBHOOK_PROCESSING_TIMEOUT_SECONDS": "is not needed: OPSSIGHT_STALL_SECONDS bounds what stands still.",
    "WEBHOOK_RETRY_INITIAL_DELAY": _KNOWN_LIMITS,
    "OPERATOR_UI_ENABLED": "is not needed: the dashboard is there, for members of the team.",
    "OPERATOR_AUTH_REPO": "is not needed: roles in the team say who may do what.",
}
_USED: Final = frozenset({
    "PORT", "LOG_LEVEL", "COPIER_DEBUG", "WEBHOOK_MAX_RETRIES", "GITHUB_APP_ID", "CONFIG_REPO_OWNER",
    "CONFIG_REPO_NAME", "CONFIG_REPO_BRANCH", "CONFIG_FILE", "MAIN_CONFIG_FILE", "WEBHOOK_SECRET",
    "WEBHOOK_SECRET_NAME", "WEBSERVER_PATH", "COPIER_COMMIT_STRATEGY", "DEFAULT_COMMIT_MESSAGE",
    "DEFAULT_PR_MERGE", "DEPRECATION_FILE", "DRY_RUN", "SLACK_WEBHOOK_URL", "SLACK_CHANNEL",
})  # fmt: skip
