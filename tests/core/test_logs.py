from __future__ import annotations

import json
import logging
import logging.config
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opssight.core import redact as redaction
from opssight.core.env import load
from opssight.core.logs import CleanFilter, JsonFormatter, TextFormatter, bind, bound, logging_config
from opssight.core.redact import redact, register


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests registered, the word "secret" perhaps, is no secret here."""
    monkeypatch.setattr(redaction, "_registered", type(redaction._registered)())


TOKENS = [
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "glpat-x1y2z3A4B5C6D7E8F9G0",
    "ATBBx1y2z3A4B5C6D7E8F9G0",
    "xoxb-123456789012-abcdefGHIJKL",
    "osp_abcdef123456.0123456789abcdef0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
]


@pytest.mark.parametrize("token", TOKENS)
def test_well_known_tokens_are_taken_out_wherever_they_stand(token: str) -> None:
    for text in (token, f"got {token}.", f'{{"token_of":"{token}"}}', f"a={token}&b", f"[{token}]"):
        assert token not in redact(text)
        assert "***" in redact(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("clone https://user:pa55@git.test/a.git failed", "clone https://***@git.test/a.git failed"),
        ("clone https://tokenonly@git.test/a", "clone https://***@git.test/a"),
        ("https://u:p@ss@git.test/a", "https://***@git.test/a"),
        ("postgresql://app:pw@db/app", "postgresql://***@db/app"),
        ("clone ssh://git@git.test/a.git", "clone ssh://git@git.test/a.git"),
        ("git+ssh://git@git.test/a.git", "git+ssh://git@git.test/a.git"),
        ("ssh://git:pw@git.test/a.git", "ssh://git:***@git.test/a.git"),
        ("git@git.test:a.git and a@b.test", "git@git.test:a.git and a@b.test"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ("{'Authorization': 'token 123abc'}", "{'Authorization': 'token ***'}"),
        ("PRIVATE-TOKEN: s3cr3t", "PRIVATE-TOKEN: ***"),
        ("sent Bearer 0123456789abcdef", "sent Bearer ***"),
        ("Cookie: session=abcdef; other=ghijkl\nnext", "Cookie: ***\nnext"),
        ("GET /x?access_token=abc&page=2", "GET /x?access_token=***&page=2"),
        ('{"password": "hunter22", "page": 2}', '{"password": "***", "page": 2}'),
        ("client_secret=abc def", "client_secret=*** def"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/***"),
        ("basic authentication was refused", "basic authentication was refused"),
        ("the token of this connection has expired", "the token of this connection has expired"),
        (
            "no secret: nothing to hide, 12 files at 0123abcd",
            "no secret: nothing to hide, 12 files at 0123abcd",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "***"),
    ],
)
def test_what_is_taken_out_and_what_stays(text: str, clean: str) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize("word", ["x-", "eyJ-", "a-", "://a", "bearer ", "token ", "-----BEGIN A"])
def test_a_long_text_of_a_stranger_is_read_in_time_that_grows_with_its_length(word: str) -> None:
    text = word * (200_000 // len(word))  # an expression that goes back over it would take for ever
    assert redact(text)


def test_registered_values_are_taken_out_also_when_quoted() -> None:
    register("correct horse/battery")
    assert redact("with correct horse/battery staple") == "with *** staple"
    assert redact("?q=correct%20horse%2Fbattery") == "?q=***"


def test_a_value_within_another_is_no_leak() -> None:
    register("inner-value")
    register("outer-inner-value-outer")
    assert redact("x outer-inner-value-outer y inner-value") == "x *** y ***"


def test_the_lines_of_a_registered_file_are_taken_out() -> None:
    register("short\nthis-is-one-line-of-a-key\nthis-is-another-line-of-it\n")
    assert redact("bad line: this-is-another-line-of-it") == "bad line: ***"
    assert redact("a short word") == "a short word"


def test_the_lines_that_frame_a_key_are_no_secret() -> None:
    register("-----BEGIN RSA PRIVATE KEY-----\n0123456789abcdef\n-----END RSA PRIVATE KEY-----\n")
    assert redact("up to -----END RSA PRIVATE KEY-----") == "up to -----END RSA PRIVATE KEY-----"
    assert redact("line 0123456789abcdef") == "line ***"


def test_short_values_are_not_registered() -> None:
    register("main")
    register("")
    assert redact("branch main") == "branch main"


def test_the_register_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", type(redaction._registered)())
    monkeypatch.setattr(redaction, "_MOST", 3)
    for value in ("value-1", "value-2", "value-3", "value-1", "value-4"):
        register(value)
    assert list(redaction._registered) == ["value-3", "value-1", "value-4"]


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord(
        "opssight.test", logging.INFO, __file__, 1, message, args, more.pop("exc_info", None)
    )
    vars(made).update(more)
    assert CleanFilter().filter(made)
    return made


def failing(secret: str) -> Any:
    try:
        raise ValueError(f"cannot reach https://u:{secret}@host/")
    except ValueError:
        return sys.exc_info()


def test_message_arguments_exception_stack_and_extras_are_redacted() -> None:
    made = record(
        "got %s from %s",
        TOKENS[0],
        "https://u:hunter22@host",
        exc_info=failing("hunter22"),
        stack_info=f"Stack: {TOKENS[1]}",
        target="https://u:hunter22@host",
        count=3,
    )
    for line in (TextFormatter().format(made), JsonFormatter().format(made)):
        assert "hunter22" not in line
        assert TOKENS[0] not in line
        assert TOKENS[1] not in line
    entry = json.loads(JsonFormatter().format(made))
    assert entry["message"] == "got *** from https://***@host"
    assert entry["level"] == "info"
    assert entry["logger"] == "opssight.test"
    assert entry["target"] == "https://***@host"
    assert entry["count"] == 3
    assert "ValueError: cannot reach https://***@host/" in entry["exception"]
    assert entry["stack"] == "Stack: ***"
    assert entry["time"].endswith("Z")


def test_arguments_that_do_not_fit_lose_no_line_and_no_secret() -> None:
    line = TextFormatter().format(record("%d files", TOKENS[0]))
    assert line.endswith("INFO opssight.test: %d files")


def test_a_line_break_cannot_forge_a_line() -> None:
    line = TextFormatter().format(record("name %s", "x\n2026-01-01T00:00:00Z INFO opssight: forged\r"))
    assert "\n" not in line
    assert "\r" not in line


def test_neither_a_message_nor_an_exception_forges_a_line_or_steers_a_terminal() -> None:
    try:
        raise ValueError("x\n2026-01-01T00:00:00Z INFO opssight: forged\x1b[2J")
    except ValueError:
        made = record("name \x1b]0;title\x07 \u2028 \x9b", exc_info=sys.exc_info())
    first, *more = TextFormatter().format(made).split("\n")
    assert first.endswith("name \\x1b]0;title\\x07 \\u2028 \\x9b")
    assert more
    assert all(line.startswith("    ") for line in more)
    assert not any(char in line for line in more for char in "\x1b\x07")


def test_lines_carry_the_ids_bound_around_them() -> None:
    with bind(request_id="r1"), bind(run_id="n2", request_id=""):
        made = record("inside")
        assert bound() == {"request_id": "r1", "run_id": "n2"}
        seen: list[dict[str, str]] = []
        thread = threading.Thread(target=lambda: seen.append(bound()))
        thread.start()
        thread.join()
        assert seen == [{}]  # another thread serves another request
    assert bound() == {}
    assert TextFormatter().format(made).endswith("inside [request_id=r1 run_id=n2]")
    assert json.loads(JsonFormatter().format(made))["run_id"] == "n2"
    assert "[" not in TextFormatter().format(record("outside"))


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, loggers = (
        logging.getLogger(),
        ("opssight", "repos", "syncs", "django", "django.server", "django.db.backends"),
    )
    before = (root.handlers[:], root.level, {name: vars(logging.getLogger(name)).copy() for name in loggers})
    yield
    for handler in set(root.handlers) - set(before[0]):
        handler.close()
    root.handlers[:], root.level = before[0], before[1]
    for name, state in before[2].items():
        vars(logging.getLogger(name)).update(state)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_configuration_writes_to_the_file_that_the_settings_name(tmp_path: Path, form: str) -> None:
    file = tmp_path / "ops.log"
    env = load({"OPSSIGHT_LOG_FILE": str(file), "OPSSIGHT_LOG_FORMAT": form, "OPSSIGHT_LOG_LEVEL": "info"})
    logging.config.dictConfig(logging_config(env))
    with bind(run_id="n7"):
        logging.getLogger("opssight.x").info("token %s", TOKENS[0])
    logging.getLogger("opssight.x").debug("too quiet")
    logging.getLogger("somebody.else").info("noise")
    logging.getLogger("somebody.else").warning("worth knowing")
    first = file.read_text().splitlines()
    assert len(first) == 2
    assert TOKENS[0] not in first[0]
    assert "n7" in first[0]
    file.rename(tmp_path / "ops.log.1")
    logging.getLogger("opssight.x").info("after rotation")
    assert "after rotation" in file.read_text()


def test_without_a_file_lines_go_to_standard_error() -> None:
    config = logging_config(load({"OPSSIGHT_LOG_LEVEL": "debug"}))
    assert config["handlers"]["out"]["class"] == "logging.StreamHandler"
    assert config["root"]["level"] == "DEBUG"
    assert config["loggers"]["opssight"]["level"] == "DEBUG"
