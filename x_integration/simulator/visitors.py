"""Who may knock: programs of this machine, and browsers that mean this simulator.

The simulator has no passwords, and any page that a person has open can make their browser send
something to a loopback port. So a name that leads here by a trick of DNS is refused, and so is a
write that another site's page asks for.
"""

import ipaddress
from urllib.parse import urlsplit

from werkzeug.wrappers import Request

_READS = {"GET", "HEAD", "OPTIONS"}


def is_welcome(request: Request) -> bool:
    """Whether the request names this machine, and no foreign page asks for a change by it."""
    return _names_this_machine(request) and (request.method in _READS or _is_own_doing(request))


def _names_this_machine(request: Request) -> bool:
    host = request.headers.get("Host")
    return host is None or _is_loopback(urlsplit(f"//{host}").hostname or "")


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_own_doing(request: Request) -> bool:
    """Browsers say where a write comes from; programs say nothing."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin == f"http://{request.headers.get('Host')}"
