"""Environments for processes that know nothing of this run: no servers, no .env, a var/ of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from tests.worlds import ROOT

FERNET_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "four words that nobody would guess, and fifty characters long: yes",
    "TOKEN_ENCRYPTION_KEY": FERNET_KEY,
    "DATABASE_URL": "postgres://revfirst:canary-password@127.0.0.1:1/revfirst",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "X_CLIENT_ID": "an-id",
    "X_CLIENT_SECRET": "a-secret",
    "X_REDIRECT_URI": "https://revfirst.example/integrations/x/oauth/callback",
    "APP_PUBLIC_BASE_URL": "https://revfirst.example",
}


def bare(folder: Path, **variables: str) -> dict[str, str]:
    """The least that a process needs, and `variables`; its var/ and .env are in `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "REVFIRST_VAR_DIR": str(folder / "var"),
        "REVFIRST_ENV_FILE": str(folder / ".env"),
        **variables,
    }


def on_our_servers(folder: Path, **variables: str) -> dict[str, str]:
    """As `bare`, with the database, the cache and the secrets of this run."""
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)
    ours = {
        "REVFIRST_VAR_DIR": os.environ["REVFIRST_VAR_DIR"],
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "revfirst.settings",
    }
    return bare(folder, **ours | variables)


def python(code: str, *, env: dict[str, str]) -> str:
    """What a Python process of its own prints; its failure is the test's."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings_of(env: dict[str, str]) -> dict[str, Any]:
    """Every setting as a process with this environment sees it."""
    code = (
        "import json, revfirst.settings as s;"
        "print(json.dumps({n: getattr(s, n) for n in dir(s) if n.isupper()}, default=repr))"
    )
    found: dict[str, Any] = json.loads(python(code, env=env))
    return found
