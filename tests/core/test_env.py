from __future__ import annotations

import base64
import ipaddress
import shutil
from pathlib import Path

import pytest

from opssight.core import env, env_docs, env_kinds as kinds
from opssight.core.env import SETTINGS, Env, SettingsError, load
from opssight.core.redact import redact

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(b"k" * 32).decode()


def problems(**environ: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load({f"OPSSIGHT_{name}": value for name, value in environ.items()})
    return dict(caught.value.problems)


def test_every_setting_has_the_name_of_its_attribute() -> None:
    named = {name: value.name for name, value in vars(Env).items() if isinstance(value, env.Setting)}
    assert len(named) == len(SETTINGS) > 40
    assert all(f"OPSSIGHT_{attribute.upper()}" == name for attribute, name in named.items())


def test_every_setting_has_a_default_and_a_sentence() -> None:
    empty = load({})
    for setting in SETTINGS:
        assert setting.help.endswith("."), setting.name
        assert setting.derive is None or setting.derived, setting.name
        shown = setting.kind.show(empty.get(setting)) if empty.get(setting) is not None else ""
        assert empty.source(setting) == "default"
        if shown and not setting.derived:
            assert setting.kind.parse(shown) == empty.get(setting), (
                setting.name
            )  # .env.example can be uncommented


def test_defaults_without_any_variable() -> None:
    settings = load({})
    assert settings.mode == "embedded"
    assert settings.data == ROOT / "var"
    assert settings.stores == ROOT / "var" / "stores"
    assert settings.database_url == kinds.Database("sqlite", str(ROOT / "var" / "opssight.sqlite3"))
    assert settings.hosts == ("localhost", "127.0.0.1", "[::1]")
    assert settings.bind == "127.0.0.1"
    assert 0 < settings.store_quota <= 10 * 10**9
    assert (settings.lease_seconds, settings.workers, settings.delivery_days) == (60.0, 2, 30)
    assert not settings.https_redirect
    assert settings.hsts_seconds == 0
    assert settings.log_format == "text"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.warnings == []


def test_installed_outside_a_checkout_the_data_is_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env, "_ROOT", tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert load({}).data == tmp_path / "share" / "opssight"


def test_quota_is_a_fifth_of_the_free_space_of_a_small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 5_000_000_000})())
    assert load({"OPSSIGHT_STORES": "/nowhere/at/all"}).store_quota == 1_000_000_000


def test_given_values_are_read() -> None:
    settings = load(
        {
            "OPSSIGHT_PORT": " 9000 ",
            "OPSSIGHT_STORE_QUOTA": "1.5GB",
            "OPSSIGHT_LEASE_SECONDS": "2m",
            "OPSSIGHT_ALLOW_HTTP": "yes",
            "OPSSIGHT_LANES": "copy, ,index",
            "OPSSIGHT_FOLDER_ROOTS": "/srv/git,rel",
            "OPSSIGHT_HOOK_RATE": "50/s",
            "OPSSIGHT_KEYS": f"k2:{KEY}, k1:{KEY}",
            "OPSSIGHT_BIND": "[::]",
            "OPSSIGHT_LOG_FILE": "",
        }
    )
    assert settings.port == 9000
    assert settings.store_quota == 1_500_000_000
    assert settings.lease_seconds == 120.0
    assert settings.lanes == ("copy", "index")
    assert settings.folder_roots == (Path("/srv/git"), Path.cwd() / "rel")
    assert settings.hook_rate == kinds.Rate(50, 1)
    assert settings.keys == (("k2", b"k" * 32), ("k1", b"k" * 32))
    assert settings.bind == "::"
    assert settings.log_file is None
    assert settings.source(Env.port) == "environment"
    assert settings.public_url == "http://127.0.0.1:9000"


def test_commands_know_where_up_serves(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("http://127.0.0.1:8123\n")
    given = {"OPSSIGHT_DATA": str(tmp_path)}
    assert load(given).public_url == "http://127.0.0.1:8123"
    assert (
        load({**given, "OPSSIGHT_PUBLIC_URL": "https://ops.example.org"}).public_url
        == "https://ops.example.org"
    )


def test_all_problems_are_told_at_once_with_what_is_accepted() -> None:
    found = problems(PORT="80x", LOG_LEVEL="loud", WORKERS="0", STORE_QUOTA="10 bananas", LEASE_SECONDS="2y")
    assert found["OPSSIGHT_PORT"] == (
        'OPSSIGHT_PORT is "80x", which cannot be used: give a whole number from 1 to 65535.'
    )
    assert "one of debug, info, warning, error" in found["OPSSIGHT_LOG_LEVEL"]
    assert "10 bananas" in found["OPSSIGHT_STORE_QUOTA"]
    assert set(found) == {
        f"OPSSIGHT_{n}" for n in ("PORT", "LOG_LEVEL", "WORKERS", "STORE_QUOTA", "LEASE_SECONDS")
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("PUBLIC_URL", "opssight.example.org"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://host:0"),
        ("PUBLIC_URL", "https://host:port"),
        ("BIND", "everywhere"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("HOOK_RATE", "10/week"),
        ("EMAIL_URL", "http://mail"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "postgresql://localhost"),
        ("DATABASE_URL", "sqlite://"),
        ("DATA", "a\0b"),
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "soon"),
        ("KEYS", "k1"),
        ("KEYS", "k1:c2hvcnQ="),
        ("KEYS", f"k1:{KEY},k1:{KEY}"),
        ("KEYS", f"k 1:{KEY}"),
        ("SECRET_KEY", "too short"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    sentence = problems(**{name: value})[f"OPSSIGHT_{name}"]
    assert sentence.startswith(f"OPSSIGHT_{name} ")
    assert ": give " in sentence


def test_the_text_of_a_secret_is_not_repeated() -> None:
    found = problems(METRICS_TOKEN="hush-hush", KEYS="my-very-own-key")
    assert "hush-hush" not in str(found)
    assert "my-very-own-key" not in str(found)


def test_a_secret_setting_is_taken_out_of_logs() -> None:
    load({"DATABASE_URL": "postgres://app:s%40crets@db.example.org/app", "OPSSIGHT_METRICS_TOKEN": "m" * 20})
    assert redact("with s@crets and " + "m" * 20) == "with *** and ***"


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x" * 40 + "\n")
    settings = load({"OPSSIGHT_METRICS_TOKEN_FILE": str(tmp_path / "token")})
    assert settings.metrics_token == "x" * 40
    assert settings.source(Env.metrics_token) == "file"


def test_a_secret_given_twice_or_in_an_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    found = problems(
        METRICS_TOKEN="x" * 40,
        METRICS_TOKEN_FILE="/tmp/x",
        SECRET_KEY_FILE=str(tmp_path / "absent"),
        KEYS_FILE=str(tmp_path / "binary"),
    )
    assert "both set" in found["OPSSIGHT_METRICS_TOKEN"]
    assert "No such file" in found["OPSSIGHT_SECRET_KEY"]
    assert "not text" in found["OPSSIGHT_KEYS"]


def test_unknown_names_are_told_with_the_nearest_known_one() -> None:
    settings = load({"OPSSIGHT_WORKRES": "2", "OPSSIGHT_ZZ": "", "OPSSIGHT_E2E_X_URL": "y"})
    assert settings.warnings == [
        "OPSSIGHT_WORKRES is not a setting and is ignored. Did you mean OPSSIGHT_WORKERS?",
        "OPSSIGHT_ZZ is not a setting and is ignored.",
    ]


def test_plain_http_beyond_this_machine_only_when_asked_for() -> None:
    assert "OPSSIGHT_ALLOW_HTTP=1" in problems(BIND="0.0.0.0")["OPSSIGHT_BIND"]
    assert load({"OPSSIGHT_BIND": "0.0.0.0", "OPSSIGHT_ALLOW_HTTP": "1"}).bind == "0.0.0.0"
    assert load({"OPSSIGHT_BIND": "localhost"}).bind == "localhost"


def test_production_is_strict() -> None:
    assert set(problems(MODE="production", DEBUG="1")) == {"OPSSIGHT_DEBUG", "OPSSIGHT_PUBLIC_URL"}
    found = problems(MODE="production", PUBLIC_URL="http://ops.example.org", HOSTS="*")
    assert found["OPSSIGHT_PUBLIC_URL"].startswith(
        "OPSSIGHT_PUBLIC_URL is http://ops.example.org: use https://"
    )
    assert "OPSSIGHT_HOSTS" in found
    settings = load(
        {
            "OPSSIGHT_MODE": "production",
            "OPSSIGHT_PUBLIC_URL": "https://ops.example.org/",
            "OPSSIGHT_BIND": "0.0.0.0",
        }
    )
    assert settings.https_redirect
    assert settings.hsts_seconds == 31_536_000
    assert settings.hosts == ("ops.example.org",)
    assert settings.public_url == "https://ops.example.org"
    assert settings.log_format == "json"


def test_the_host_of_an_ipv6_public_address_is_bracketed() -> None:
    settings = load({"OPSSIGHT_MODE": "production", "OPSSIGHT_PUBLIC_URL": "https://[2a00::1]"})
    assert settings.hosts == ("[2a00::1]",)


def test_database_url_by_its_plain_name_and_ours_first() -> None:
    plain = {"DATABASE_URL": "postgres://u:p%40ss@db.example.org:6432/app?sslmode=require&application_name=x"}
    database = load(plain).database_url
    assert (database.engine, database.name, database.user, database.password) == (
        "postgresql",
        "app",
        "u",
        "p@ss",
    )
    assert (database.host, database.port) == ("db.example.org", 6432)
    assert dict(database.options) == {"sslmode": "require", "application_name": "x"}
    ours = load({**plain, "OPSSIGHT_DATABASE_URL": "sqlite:////tmp/x.db"}).database_url
    assert ours == kinds.Database("sqlite", "/tmp/x.db")


def test_remote_postgresql_is_verified_in_production_unless_the_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parse = kinds.DATABASE.parse
    remote = parse("postgresql://db.example.org/app")
    options = remote.django(verify=True, ca=None)["OPTIONS"]
    assert options["sslmode"] == "verify-full"
    assert Path(options["sslrootcert"]).is_file() or options["sslrootcert"] == "system"
    assert remote.django(verify=True, ca=Path("/ca.pem"))["OPTIONS"] == {
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
    }
    assert remote.django(verify=False, ca=None)["OPTIONS"] == {}
    asked = parse("postgresql://db.example.org/app?sslmode=require")
    assert asked.django(verify=True, ca=None)["OPTIONS"] == {"sslmode": "require"}
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert remote.django(verify=True, ca=None)["OPTIONS"]["sslrootcert"] == "system"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("postgresql:///app", True),
        ("postgresql:///app?host=/run/postgresql", True),
        ("postgresql://localhost/app", True),
        ("postgresql://127.0.0.1/app", True),
        ("postgresql://[::1]/app", True),
        ("postgresql://10.0.0.1/app", False),
        ("postgresql://db/app", False),
    ],
)
def test_which_databases_are_on_this_machine(url: str, local: bool) -> None:
    database = kinds.DATABASE.parse(url)
    assert database.local is local
    assert ("sslmode" in database.django(verify=True, ca=None)["OPTIONS"]) is not local


def test_sqlite_is_set_up_for_several_processes() -> None:
    config = kinds.DATABASE.parse("sqlite:////tmp/x.db").django(verify=True, ca=None)
    assert config["NAME"] == "/tmp/x.db"
    assert config["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", kinds.MailServer("mail", 25, "", "", starttls=False, tls=False)),
        ("smtps://u:p%3A@mail", kinds.MailServer("mail", 465, "u", "p:", starttls=False, tls=True)),
        ("smtp+starttls://u:p@mail:2525", kinds.MailServer("mail", 2525, "u", "p", starttls=True, tls=False)),
        ("console:", kinds.MailServer("", 0, "", "", starttls=False, tls=False)),
    ],
)
def test_mail_servers(url: str, server: kinds.MailServer) -> None:
    assert kinds.MAIL.parse(url) == server
    assert kinds.MAIL.show(server) in {"mail", "console:"}
    assert "p:" not in repr(server)


def test_trusted_proxies_are_a_count_or_networks() -> None:
    assert kinds.PROXIES.parse("2") == kinds.TrustedProxies(count=2)
    networks = kinds.PROXIES.parse("10.0.0.0/8, ::1/128")
    assert networks.networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert networks
    assert not kinds.TrustedProxies()
    assert kinds.PROXIES.show(networks) == "10.0.0.0/8,::1/128"


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1500, "1500"), (2000, "2KB"), (10**10, "10GB")])
def test_sizes_are_written_in_the_largest_whole_unit(value: int, text: str) -> None:
    assert kinds.show_size(value) == text


def test_describe_shows_values_but_no_secret() -> None:
    settings = load({"OPSSIGHT_KEYS": f"k1:{KEY}", "OPSSIGHT_PORT": "81"})
    shown = {entry["name"]: (entry["value"], entry["source"]) for entry in settings.describe()}
    assert shown["OPSSIGHT_PORT"] == ("81", "environment")
    assert shown["OPSSIGHT_KEYS"] == ("(set)", "environment")
    assert shown["OPSSIGHT_DATABASE_CA"] == ("", "default")
    assert KEY not in str(shown)


def test_the_tracked_pages_are_what_the_declarations_say() -> None:
    assert (ROOT / ".env.example").read_text() == env_docs.render_env_example()
    reference = (ROOT / "docs/reference/settings.md").read_text()
    assert reference == env_docs.render_reference()
    assert all(f"\n### {setting.name}\n" in reference for setting in SETTINGS)


def test_the_example_file_can_be_uncommented_line_by_line() -> None:
    lines = [line[1:] for line in env_docs.render_env_example().splitlines() if line.startswith("#OPSSIGHT_")]
    environ = dict(line.split("=", 1) for line in lines)
    assert len(environ) == len(SETTINGS)
    assert load(environ).warnings == []
