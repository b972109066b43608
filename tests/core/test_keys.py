from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opssight.core import keys
from opssight.core.env import load
from opssight.core.errors import InvalidInput
from opssight.core.redact import redact

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    settings.ENV = load({"OPSSIGHT_DATA": str(tmp_path / "data")})
    return tmp_path / "data"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_file_is_made_once_and_private(data: Path) -> None:
    first = keys.keyring()
    assert mode(data / "keys") == 0o600
    assert mode(data) == 0o700
    assert re.fullmatch(r"k[0-9a-f]{8}:[A-Za-z0-9+/=]{44}\n", (data / "keys").read_text())
    assert keys.keyring() is first
    assert sorted(os.listdir(data)) == ["keys"]  # no draft is left


def test_the_umask_does_not_open_the_key_file(data: Path) -> None:
    before = os.umask(0)
    try:
        keys.keyring()
    finally:
        os.umask(before)
    assert mode(data / "keys") == 0o600


def test_keys_from_the_setting_need_no_file(data: Path, settings: Any) -> None:
    settings.ENV = load({"OPSSIGHT_DATA": str(data), "OPSSIGHT_KEYS": f"k2:{KEY},k1:{KEY}"})
    assert keys.keyring().kids == ("k2", "k1")
    assert not data.exists()
    for refused in (keys.add_key, lambda: keys.drop_key("k1")):
        with pytest.raises(InvalidInput, match="OPSSIGHT_KEYS"):
            refused()


def test_keys_are_taken_out_of_logs(data: Path) -> None:
    kid = keys.keyring().primary
    text = (data / "keys").read_text().strip()
    assert redact(f"read {text}") == "read ***"
    assert redact(f"key {text.partition(':')[2]} is {kid}") == f"key *** is {kid}"


def test_a_new_key_encrypts_from_now_on_without_a_restart(data: Path) -> None:
    old = keys.keyring()
    stored = old.encrypt("hunter22", "t:1:c")
    kid = keys.add_key()
    assert keys.keyring().kids == (kid, old.primary)
    assert keys.keyring().decrypt(stored, "t:1:c") == "hunter22"
    assert mode(data / "keys") == 0o600


def test_only_a_key_that_does_not_encrypt_is_dropped(data: Path) -> None:
    old = keys.keyring().primary
    new = keys.add_key()
    with pytest.raises(InvalidInput, match=f"The key {new} encrypts new secrets"):
        keys.drop_key(new)
    with pytest.raises(InvalidInput, match=f"There is no encryption key k9: there are {new}, {old}"):
        keys.drop_key("k9")
    keys.drop_key(old)
    assert keys.keyring().kids == (new,)


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(data: Path, permissions: int) -> None:
    keys.keyring()
    (data / "keys").chmod(permissions)
    os.utime(data / "keys")
    with pytest.raises(keys.KeyFileError, match=f"chmod 600 {re.escape(str(data / 'keys'))}"):
        keys.keyring()


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("k1:abc", "does not hold keys as")])
def test_a_key_file_without_keys_is_refused(data: Path, content: str, words: str) -> None:
    data.mkdir()
    (data / "keys").write_text(content)
    (data / "keys").chmod(0o600)
    with pytest.raises(keys.KeyFileError, match=words):
        keys.keyring()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(keys.KeyFileError, match="secret_key cannot be used: File exists"):
        keys.file_secret(tmp_path / "file" / "secret_key")


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    made = keys.file_secret(tmp_path / "deep" / "secret_key")
    assert len(made) >= 50
    assert keys.file_secret(tmp_path / "deep" / "secret_key") == made
    assert keys.file_secret(tmp_path / "deep" / "other") != made


_RACE = """
import sys
from pathlib import Path
from opssight.core import keys
path = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(keys.file_secret(path, keys.new_key))
"""


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / str(attempt) / "keys"
        started = [
            subprocess.Popen(
                [sys.executable, "-c", _RACE, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for _ in range(3)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = {process.communicate()[0] for process in started}
        assert [process.returncode for process in started] == [0, 0, 0]
        assert answers == {path.read_text()}
        assert os.listdir(path.parent) == ["keys"]


def test_the_loser_of_the_race_keeps_the_winners_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"

    def slow() -> str:  # another process finishes while this one makes its key
        path.write_text("winner")
        path.chmod(0o600)
        return "loser"

    assert keys.file_secret(path, slow) == "winner"
    assert os.listdir(tmp_path) == ["keys"]


def test_adding_keys_at_the_same_time_loses_none(data: Path) -> None:
    keys.keyring()
    code = (
        "import sys\nfrom django.conf import settings\nfrom opssight.core.env import load\n"
        "settings.configure(ENV=load({'OPSSIGHT_DATA': sys.argv[1]}))\n"
        "from opssight.core import keys\nfor _ in range(10): print(keys.add_key())\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(data)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    added = {kid for process in started for kid in process.communicate()[0].split()}
    assert len(added) == 20
    assert added < set(keys.keyring().kids)
