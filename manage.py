#!/usr/bin/env python3
"""Django's command line, with one clear sentence where a first user would meet a traceback."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the sentence for an older Python
    sys.exit("RevFirst needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "revfirst.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ImportError as error:
        sys.exit(
            f"{error}. Run 'make demo' once: it makes the environment, then use .venv/bin/python."
        )
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"RevFirst cannot start: {error}")
    except OperationalError as error:
        sys.exit(_unreachable(error))
    except KeyboardInterrupt:
        sys.exit(130)


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
