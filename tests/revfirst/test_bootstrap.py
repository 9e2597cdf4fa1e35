"""deploy/make-env and the Makefile, run as a newcomer's shell runs them.

The packages installed here are two tiny wheels made on the spot, so nothing is fetched.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BASE_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
NO_SHIMS = ("python3.13", "python3.12", "python3.11", "python3")


class Checkout:
    """A folder with what make-env needs, a PATH of our choice, and tiny packages."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.wheels = folder / "checkout", folder / "bin", folder / "wheels"
        for made in (self.folder / "deploy", self.folder / "requirements", self.bin, self.wheels):
            made.mkdir(parents=True)
        shutil.copy(REPOSITORY / "deploy" / "make-env", self.folder / "deploy")
        self.require("demo", "tinydemo")
        self.require("dev", "tinydemo", "tinydev")

    def require(self, wanted: str, *packages: str) -> None:
        lines = [f"{name}==1.0 --hash=sha256:{self._wheel(name)}\n" for name in packages]
        (self.folder / "requirements" / f"{wanted}.txt").write_text("".join(lines))

    def _wheel(self, name: str) -> str:
        """Make a wheel of one module, always the same bytes; its hash."""
        path, info = self.wheels / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
        files = {
            f"{name}.py": "",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }
        with zipfile.ZipFile(path, "w") as wheel:
            for inside, text in files.items():
                wheel.writestr(zipfile.ZipInfo(inside), text)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def python(self, name: str, script: str = f'exec {BASE_PYTHON} "$@"') -> None:
        """Put an interpreter of that name on the PATH."""
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CACHE_DIR": str(self.folder / "cache"),
            **more,
        }

    def make_env(self, wanted: str = "demo", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["deploy/make-env", wanted],
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def has(self, package: str) -> bool:
        return any(self.folder.glob(f".venv/lib/*/site-packages/{package}.py"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh one, where every usual name of Python on the PATH is ours."""
    found = Checkout(tmp_path)
    for name in NO_SHIMS:
        found.python(name, "echo 'command not found' >&2; exit 127")
    return found


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    found = Checkout(tmp_path_factory.mktemp("made"))
    for name in NO_SHIMS:
        found.python(name)
    return found


@pytest.fixture
def made(used: Checkout) -> Checkout:
    """One whose demo environment is made; making it takes seconds, so the tests share it."""
    used.require("demo", "tinydemo")
    (used.folder / ".venv" / "installed-dev").unlink(missing_ok=True)
    told = used.make_env()
    assert told.returncode == 0, told.stdout + told.stderr
    return used


def is_one_sentence(told: subprocess.CompletedProcess[str]) -> bool:
    return told.returncode == 1 and len(told.stderr.strip().splitlines()) == 1


# --- Finding an interpreter ---------------------------------------------------------------------


def test_shims_that_lead_nowhere_are_named_when_nothing_else_is_there(checkout):
    told = checkout.make_env()
    assert is_one_sentence(told)
    assert "needs Python 3.11 or newer; tried python3.13 (does not run)" in told.stderr


def test_a_python_that_is_too_old_is_named_with_its_version(checkout):
    checkout.python("python3", 'case "$2" in *version_info\\[*) echo 3.9 ;; *) exit 1 ;; esac')
    told = checkout.make_env()
    assert is_one_sentence(told)
    assert "python3 (3.9)" in told.stderr


def test_a_python_without_venv_is_answered_with_the_line_that_helps(checkout):
    checkout.python(
        "python3", f'case "$2" in *ensurepip*) exit 1 ;; *) exec {BASE_PYTHON} "$@" ;; esac'
    )
    told = checkout.make_env()
    assert is_one_sentence(told)
    assert "apt-get install python3-venv" in told.stderr


def test_an_unknown_set_is_named(checkout):
    told = checkout.make_env("prod")
    assert is_one_sentence(told)
    assert "not 'prod'" in told.stderr


# --- Folders ------------------------------------------------------------------------------------


def test_a_folder_that_is_no_environment_is_left_alone(checkout):
    checkout.python("python3")
    (checkout.folder / "papers").mkdir()
    (checkout.folder / "papers" / "thesis.txt").write_text("years of work")
    told = checkout.make_env(VENV="papers")
    assert is_one_sentence(told)
    assert (checkout.folder / "papers" / "thesis.txt").exists()


def test_a_folder_that_cannot_be_written_is_named(checkout):
    checkout.python("python3")
    (checkout.folder / "closed").write_text("a file where the folder should be")
    told = checkout.make_env(VENV="closed/.venv")
    assert is_one_sentence(told)
    assert "cannot be written" in told.stderr


# --- Installing ---------------------------------------------------------------------------------


def test_the_environment_holds_what_the_set_requires(made):
    assert made.has("tinydemo")


def test_a_second_run_says_nothing_and_installs_nothing(made):
    log = made.folder / ".venv" / "install.log"
    before = log.stat().st_mtime_ns
    told = made.make_env()
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert log.stat().st_mtime_ns == before


def test_a_changed_requirement_is_installed(made):
    made.require("demo", "tinydemo", "tinymore")
    told = made.make_env()
    assert told.returncode == 0, told.stdout + told.stderr
    assert made.has("tinymore")


def test_the_larger_set_serves_the_smaller_one(made):
    assert made.make_env("dev").returncode == 0
    assert made.has("tinydev")
    (made.folder / ".venv" / "installed-demo").unlink(missing_ok=True)
    assert made.make_env("demo").stdout == ""


@pytest.mark.slow
def test_an_interrupted_run_is_begun_anew(made):
    (made.folder / ".venv" / "unfinished").touch()
    told = made.make_env()
    assert told.returncode == 0
    assert told.stdout.startswith("Making .venv with Python")


@pytest.mark.slow
def test_an_environment_whose_python_is_gone_is_made_again(made):
    (made.folder / ".venv" / "bin" / "python").unlink()
    assert made.make_env().returncode == 0
    assert made.has("tinydemo")


@pytest.mark.slow
def test_two_runs_at_once_wait_for_each_other(made):
    (made.folder / ".venv" / "unfinished").touch()
    command = ["deploy/make-env", "demo"]
    both = [
        subprocess.Popen(
            command, cwd=made.folder, env=made.environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    words = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Making .venv" in told for told in words) == 1
    assert sum("waiting for it" in told for told in words) == 1


@pytest.mark.slow
def test_without_a_network_the_sentence_says_what_did_not_answer(made):
    made.require("demo", "tinydemo", "tinyfar")
    (made.wheels / "tinyfar-1.0-py3-none-any.whl").unlink()
    index = "http://127.0.0.1:9/simple"
    told = made.make_env(PIP_NO_INDEX="0", PIP_INDEX_URL=index, PIP_RETRIES="1")
    assert is_one_sentence(told)
    assert f"{index} does not answer" in told.stderr


def test_a_package_with_another_hash_is_refused(made):
    requirements = made.folder / "requirements" / "demo.txt"
    requirements.write_text(f"tinyodd==1.0 --hash=sha256:{'0' * 64}\n")
    made._wheel("tinyodd")
    told = made.make_env()
    assert is_one_sentence(told)
    assert "its hash differs" in told.stderr


# --- make ---------------------------------------------------------------------------------------


def test_make_alone_lists_every_command():
    told = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    listed = [line.split()[1] for line in told.stdout.splitlines()]
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert listed == phony[1].split()


def test_plain_python_tells_the_version_it_needs():
    manage = (REPOSITORY / "manage.py").read_text()
    assert "sys.version_info < (3, 11)" in manage
