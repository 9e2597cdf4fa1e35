#!/usr/bin/env python3
"""Django's command line, with one clear sentence where a first user would meet a traceback."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the sentence for an older Python
    sys.exit("RevFirst needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031


def main() -> None:
    """Run one management command."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "revfirst.settings"  # there is no other
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: words go nowhere then
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    # A terminal that cannot show a letter of a reason is no reason to fail.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError, ProgrammingError
    except ImportError as error:
        sys.exit(
            f"{error}. Run 'make demo' once: it makes the environment, then use .venv/bin/python."
        )
    try:
        if sys.argv[1:2] == ["qcluster"]:
            _try_database()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"RevFirst cannot start: {error}")
    except OperationalError as error:
        sys.exit(_unreachable(error))
    except ProgrammingError as error:
        if sentence := _unprepared(error):
            sys.exit(sentence)
        raise
    except KeyboardInterrupt:
        sys.exit(130)


def _try_database() -> None:
    """Connect once: the task engine's own processes would meet a missing database with tracebacks."""
    import django

    django.setup()
    from django.db import connection

    connection.ensure_connection()
    connection.close()  # it forks, and a connection is not to be shared


def _unprepared(error: Exception) -> str:
    """The sentence for a database without our tables, or for a URL that libpq does not take."""
    words = str(error).strip().splitlines()[0]
    if "does not exist" in words and words.startswith("relation"):
        return "The database is not prepared: run 'manage.py migrate' first."
    return f"DATABASE_URL cannot be used: {words}." if "connection option" in words else ""


def _unreachable(error: Exception) -> str:
    """The sentence for a database that does not answer; never its URL, which holds a password."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    first_line = str(error).strip().splitlines()[0]
    where = f"{database['HOST']}:{database['PORT']}"
    hint = settings.DATABASE_HINT
    return f"The database at {where} does not answer ({first_line}). {hint}"


if __name__ == "__main__":
    main()
