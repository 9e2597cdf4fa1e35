"""gunicorn -c deploy/gunicorn.conf.py revfirst.wsgi:application

Threads, since our requests wait on the database and on X. `reuse_port` gives every worker a listening
socket of its own: without it keep-alive connections gather on one worker (measured: 2.3 times slower).
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from django.core.exceptions import ImproperlyConfigured

try:
    from revfirst import settings
except ImproperlyConfigured as error:  # once and in words, not in every worker
    sys.exit(f"RevFirst cannot start: {error}")

bind = settings.WEB_BIND
workers = settings.WEB_CONCURRENCY
worker_class = "gthread"
threads = 4
reuse_port = (
    workers > 1
)  # with one there is nothing to share, and a second server would join in unseen
keepalive = 5
timeout = 60  # an OAuth callback asks X twice, at most 25 s each
graceful_timeout = 30
# Its own lines in our form: it repeats requests that it cannot read, and they may hold X's code.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": settings.LOGGING["formatters"],
    "handlers": settings.LOGGING["handlers"],
    "root": settings.LOGGING["root"],
    "loggers": {
        "gunicorn.error": {"handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"handlers": [], "propagate": False},
    },
}
accesslog = None  # /metrics counts requests, the proxy logs them
control_socket_disable = True  # its one path per user is shared by every gunicorn of that user
if os.access("/dev/shm", os.W_OK):  # noqa: S108 - heartbeat files of gunicorn's own naming
    worker_tmp_dir = "/dev/shm"  # noqa: S108 - memory: a busy disk must not look like a dead worker


def child_exit(server: Any, worker: Any) -> None:
    """Let a worker's gauges end with it; its counters stay."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
