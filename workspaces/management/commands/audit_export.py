"""manage.py audit_export."""

import io
import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from revfirst.storable import storable_text
from workspaces import audit, progress
from workspaces.models import AuditChain, Workspace


class Command(BaseCommand):
    """Write the audit log so that a stranger can check it without us."""

    help = (
        "Writes the audit log as JSON Lines: an object per row, then each chain's head. Changes nothing. "
        "How to check the file is in docs/AUDIT-EXPORT.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose log, and where to."""
        parser.add_argument(
            "--workspace", metavar="SLUG", type=storable_text, help="its chain alone, or 'system'"
        )
        parser.add_argument("--output", metavar="FILE", help="instead of the standard output")
        progress.add_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it whole, or leave nothing under the file's name."""
        tell = progress.shown_on(self.stderr, always=options["progress"])
        lines = audit.export(_chain(options["workspace"]), progress=tell)
        output = options["output"]
        try:
            if output:
                _write_file(Path(output), lines)
            else:
                _speak_utf_8()
                for line in lines:
                    self.stdout.write(line)
                self.stdout.flush()
        except OSError as error:
            if not output:
                _let_standard_output_go()
            where = output or "The standard output"
            raise CommandError(f"{where} could not be written: {error.strerror}.") from None


def _chain(slug: str | None) -> str | None:
    """The chain's name; None is all of them. Raises CommandError for a slug that nobody has."""
    if slug in (None, AuditChain.SYSTEM):
        return slug
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is None:
        raise CommandError(f"There is no workspace {slug}.")
    return str(workspace.pk)


def _write_file(path: Path, lines: Iterable[str]) -> None:
    """Write beside `path` and rename: under its name stands the old file, or the whole new one."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise CommandError(f"{path} could not be written: it is no file.")
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink()
        raise


def _speak_utf_8() -> None:
    """As the file does, also where the terminal speaks something else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _let_standard_output_go() -> None:
    """Nobody reads it any more: what is left in its buffer must not fail once more at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
