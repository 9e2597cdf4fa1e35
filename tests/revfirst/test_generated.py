"""Secrets made once per checkout: private, complete, and the same for every process."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from revfirst import generated
from tests.environments import bare, python

NAMES = {"SECRET_KEY", "TOKEN_ENCRYPTION_KEY", "X_CLIENT_SECRET", "DEMO_PASSWORD"}


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


ROUNDS = 20
RACE = """
from pathlib import Path
from revfirst.generated import load_or_create
for folder in sorted(Path({folder!r}).iterdir()):
    (folder / {name!r}).touch()
    while len(list(folder.glob("ready-*"))) < 2:
        pass
    print(sorted(load_or_create(folder / "var").items()))
"""


def raced(folder: Path) -> list[tuple[str, ...]]:
    """What two processes read that look into each var/ below `folder` at the same moment."""

    def run(name: str) -> list[str]:
        code = RACE.format(folder=str(folder), name=name)
        return python(code, env=bare(folder.parent)).splitlines()

    with ThreadPoolExecutor(2) as pool:
        return list(zip(*pool.map(run, ["ready-1", "ready-2"]), strict=True))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Places for as many races."""
    for number in range(ROUNDS):
        (tmp_path / "races" / f"{number:02}").mkdir(parents=True)
    return tmp_path / "races"


def test_every_secret_is_made_and_differs_between_checkouts(tmp_path):
    one = generated.load_or_create(tmp_path / "one")
    two = generated.load_or_create(tmp_path / "two")
    assert one.keys() == two.keys() == NAMES
    assert not set(one.values()) & set(two.values())


def test_the_token_key_encrypts(tmp_path):
    key = generated.load_or_create(tmp_path)["TOKEN_ENCRYPTION_KEY"]
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"token")) == b"token"


def test_the_file_is_private_and_so_is_a_folder_made_for_it(tmp_path):
    generated.load_or_create(tmp_path / "var")
    assert mode(tmp_path / "var" / "secrets.json") == 0o600
    assert mode(tmp_path / "var") == 0o700


def test_a_second_start_reads_the_same_secrets(tmp_path):
    assert generated.load_or_create(tmp_path) == generated.load_or_create(tmp_path)


def test_nothing_but_the_secrets_is_left_in_the_folder(tmp_path):
    generated.load_or_create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


def test_processes_that_start_at_once_agree(folders):
    assert [one == two for one, two in raced(folders)] == [True] * ROUNDS


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(tmp_path):
    first = generated.load_or_create(tmp_path)
    older = {name: value for name, value in first.items() if name != "DEMO_PASSWORD"}
    (tmp_path / "secrets.json").write_text(json.dumps(older))
    later = generated.load_or_create(tmp_path)
    assert later.items() > older.items()
    assert mode(tmp_path / "secrets.json") == 0o600


def test_processes_that_add_a_secret_at_once_agree_and_keep_the_others(folders):
    for folder in folders.iterdir():
        (folder / "var").mkdir()
        (folder / "var" / "secrets.json").write_text('{"SECRET_KEY": "kept"}')
    for one, two in raced(folders):
        assert one == two
        assert "('SECRET_KEY', 'kept')" in one


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"SECRET_KEY": null}', "\x00"])
def test_a_damaged_file_is_named_and_never_replaced(tmp_path, text):
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"secrets\.json is damaged"):
        generated.load_or_create(tmp_path)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_made_is_an_operating_system_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        generated.load_or_create(tmp_path / "file" / "var")
