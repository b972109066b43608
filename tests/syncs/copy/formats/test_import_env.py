"""The environment of a copier becomes settings and commands; a secret is never repeated."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from opssight.core.env import SETTINGS
from opssight.core.errors import InvalidInput
from syncs.copy.formats.import_env import imported, variables_in

CANARY = "c4n4ry-s3cret"
WHOLE = f"""\
# a deployment
ENV=production
export PORT=8080
CONFIG_REPO_OWNER=acme
CONFIG_REPO_NAME='copier config'
CONFIG_REPO_BRANCH=main   # the branch
MAIN_CONFIG_FILE=".copier/main.yaml"
USE_MAIN_CONFIG=true
GITHUB_APP_ID=123
GITHUB_APP_CLIENT_ID=Iv1.x
INSTALLATION_ID=456
PEM_NAME=CODE_COPIER_PEM
GITHUB_APP_PRIVATE_KEY_B64={CANARY}
WEBHOOK_SECRET={CANARY}
WEBHOOK_SECRET_NAME=webhook-secret
WEBSERVER_PATH=/hooks/copier
DEPRECATION_FILE=gone.json
COMMITTER_NAME=Bot
COMMITTER_EMAIL=bot@example.org
DEFAULT_COMMIT_MESSAGE="Sync it"
DEFAULT_PR_MERGE=true
DEFAULT_RECURSIVE_COPY=true
COPIER_COMMIT_STRATEGY=pr
DRY_RUN=true
AUDIT_ENABLED=true
MONGO_URI=mongodb://user:{CANARY}@db
MONGO_URI_SECRET_NAME=x
AUDIT_DATABASE=a
AUDIT_COLLECTION=b
METRICS_ENABLED=true
SLACK_WEBHOOK_URL=https://hooks.slack.example/{CANARY}
SLACK_CHANNEL=#docs
SLACK_USERNAME=x
SLACK_ICON_EMOJI=:x:
SLACK_ENABLED=true
GITHUB_API_MAX_RETRIES=3
GITHUB_API_INITIAL_RETRY_DELAY=500
PR_MERGE_POLL_MAX_ATTEMPTS=20
PR_MERGE_POLL_INTERVAL=500
COPIER_LOG_NAME=l
GOOGLE_CLOUD_PROJECT_ID=p
LOG_LEVEL=warn
COPIER_DEBUG=false
COPIER_DISABLE_CLOUD_LOGGING=true
CONFIG_CACHE_TTL_SECONDS=300
WEBHOOK_PROCESSING_TIMEOUT_SECONDS=300
WEBHOOK_MAX_RETRIES=2
WEBHOOK_RETRY_INITIAL_DELAY=5
SKIP_SECRET_MANAGER=true
OPERATOR_UI_ENABLED=true
OPERATOR_AUTH_REPO=acme/ops
CONFIG_FILE=copier-config.yaml
MY_OWN={CANARY}
"""


def test_a_whole_deployment() -> None:
    found = imported(variables_in(WHOLE.encode()))
    assert found.settings == {
        "OPSSIGHT_PORT": "8080",
        "OPSSIGHT_LOG_LEVEL": "warning",
        "OPSSIGHT_MAX_ATTEMPTS": "3",
        "OPSSIGHT_COPIER_WEBHOOK": "ID_THAT_HOOK_ADD_PRINTS",
    }
    assert found.commands == [
        "opssight connection add github --provider github --secret token=env:GITHUB_TOKEN",
        "opssight repo import github --all",
        "opssight hook add --provider github --name copier --secret env:WEBHOOK_SECRET",
        "opssight copy validate .copier/main.yaml",
    ]
    assert found.defaults == {
        "commit_strategy": {"type": "pull_request", "commit_message": "Sync it", "auto_merge": True},
        "deprecation_check": {"enabled": True, "file": "gone.json"},
    }
    assert found.unknown == ["MY_OWN"]
    told = dict(found.notes)
    assert "acme/copier config, branch main" in told["CONFIG_REPO_NAME"]
    assert "/webhook and /events" in told["WEBSERVER_PATH"]
    assert "shadow" in told["DRY_RUN"]
    assert "#docs" in told["SLACK_WEBHOOK_URL"]
    assert "is off" in told["COPIER_DEBUG"]


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("LOG_LEVEL", "loud", "is none of debug, info"),
        ("WEBHOOK_MAX_RETRIES", "many", "is no number below 100"),
        ("COPIER_COMMIT_STRATEGY", "carrier pigeon", "is neither direct nor pr"),
        ("DRY_RUN", "false", "is off, as it is here"),
    ],
)
def test_each_value_that_becomes_nothing_is_told(name: str, value: str, part: str) -> None:
    found = imported({name: value})
    assert (found.settings, found.defaults) == ({}, {})
    [(told, sentence)] = found.notes
    assert (told, part in sentence) == (name, True), sentence


def test_what_is_empty_is_not_told() -> None:
    assert (
        imported(dict.fromkeys(("LOG_LEVEL", "WEBHOOK_MAX_RETRIES", "COPIER_COMMIT_STRATEGY"), "")).notes
        == []
    )


def test_no_secret_is_repeated() -> None:
    found = imported(variables_in(WHOLE.encode()))
    assert CANARY not in found.text()
    assert CANARY not in json.dumps(found.document())


def test_the_settings_exist_and_take_the_values() -> None:
    kinds = {setting.name: setting.kind for setting in SETTINGS}
    found = imported(variables_in(WHOLE.encode())).settings
    assert found.keys() <= kinds.keys()
    for name, value in found.items():
        if name != "OPSSIGHT_COPIER_WEBHOOK":
            assert kinds[name].parse(value) is not None


@pytest.mark.parametrize(
    "text",
    [
        "PORT: 80\nLOG_LEVEL: debug\nUSE_MAIN_CONFIG: true\nNOTHING:\n",
        "env_variables:\n  PORT: '80'\n  LOG_LEVEL: debug\n  USE_MAIN_CONFIG: 'true'\n  NOTHING: ''\n",
        "---\nPORT=80\nLOG_LEVEL='debug'\nUSE_MAIN_CONFIG=true\nNOTHING=\n",
        '\ufeffPORT="80" # x\nexport LOG_LEVEL = debug\nUSE_MAIN_CONFIG=true\nNOTHING=""\n',
        '{"PORT": 80, "LOG_LEVEL": "debug", "USE_MAIN_CONFIG": true, "NOTHING": null, "list": [1]}',
    ],
)
def test_the_kinds_of_files(text: str) -> None:
    expected = {"PORT": "80", "LOG_LEVEL": "debug", "USE_MAIN_CONFIG": "true", "NOTHING": ""}
    assert variables_in(text.encode()) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"PORT=80\nwhat is this\n", "Line 2 is not NAME=VALUE"),
        (b"\xff\xfe", "not UTF-8"),
        (b"just words\n", "neither lines of NAME=VALUE nor YAML"),
        (b"a: b: c\n", "not readable YAML"),
    ],
)
def test_what_cannot_be_read(text: bytes, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        variables_in(text)
    assert part in caught.value.sentence


@pytest.mark.parametrize(
    "value", [f"*{CANARY}", f"!{CANARY} x", f"&a\n  *{CANARY}", f"@{CANARY}", f"%{CANARY}"]
)
def test_what_cannot_be_read_is_not_repeated(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        variables_in(f"PORT: 80\nMONGO_URI: {value}\n".encode())
    said = [caught.value.sentence, *(text for _, text in caught.value.problems)]
    assert "at line " in said[0]
    assert CANARY not in " ".join(said)


HOSTILE = "a\nOPSSIGHT_MODE=local\r$(touch ran)\u2028`touch ran`\x85'; touch ran; \"x # y"


@pytest.mark.parametrize("name", sorted(variables_in(WHOLE.encode())))
def test_no_value_gets_out_of_its_comment_or_its_word(name: str, tmp_path: Path) -> None:
    """A shell that reads what is printed sets the settings and starts the commands, whatever a value is."""
    variables = variables_in(WHOLE.encode()) | variables_in(json.dumps({name: HOSTILE}).encode())
    found = imported(variables)
    script = f"set -a\nopssight() {{ printf '%s\\n' opssight \"$@\"; }}\n{found.text()}\nenv\n"
    done = subprocess.run(
        ["/bin/sh"], input=script, env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = done.stdout.splitlines()
    words = [word for line in found.commands for word in shlex.split(line)]
    assert (done.stderr, told[: len(words)], [*tmp_path.iterdir()]) == ("", words, [])
    settings = [
        line for line in told[len(words) :] if not line.startswith(("PWD=", "_=", "SHLVL=", "OLDPWD="))
    ]
    assert sorted(settings) == sorted(f"{key}={value}" for key, value in found.settings.items())


def test_a_file_is_no_option_of_the_command() -> None:
    [line] = imported({"CONFIG_FILE": "--root=/"}).commands
    assert shlex.split(line) == ["opssight", "copy", "validate", "./--root=/"]


def test_the_defaults_are_a_comment_that_is_yaml() -> None:
    found = imported(variables_in(WHOLE.encode()) | {"DEFAULT_COMMIT_MESSAGE": "a: b\t# c " + "word " * 40})
    _, _, after = found.text().partition("# Into the configuration file")
    lines = after.partition("\n\n")[0].split("\n")[1:]
    assert all(line.startswith("# ") for line in lines)
    read = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))
    assert read == {"defaults": found.defaults}


def test_the_commands_are_ones_that_exist() -> None:
    found = []
    for line in imported(variables_in(WHOLE.encode())).commands:
        program, name, *argv = shlex.split(line)
        assert program == "opssight"
        parser = load_command_class(str(get_commands()[name]), name).create_parser("opssight", name)
        found.append(parser.parse_args(argv).method.__qualname__)
    assert found == ["Command.add", "Command.import_", "Command.add", "Command.validate"]
