"""The account's tokens as a test looks at them, and renewing them now."""

from django.utils import timezone

from tests.x_integration.conftest import opened
from workspaces.models import Alarm, Counter
from x_integration.models import XAccount
from x_integration.services import get_workspace_x_access_token, refresh_workspace_x_tokens

TOKEN = "/2/oauth2/token"


def account_of(workspace) -> XAccount:
    return XAccount.objects.get(workspace=workspace)


def pair_of(workspace) -> tuple[str, str]:
    account = account_of(workspace)
    return opened(account.access_token), opened(account.refresh_token)


def token_of(workspace):
    return get_workspace_x_access_token(workspace, now=timezone.now())


def renew(workspace) -> str:
    return refresh_workspace_x_tokens(workspace, now=timezone.now())


def refreshes() -> dict[str, int]:
    """What `x_token_refresh_total` says."""
    rows = Counter.objects.filter(name="x_token_refresh_total")
    return {row.labels: int(row.value) for row in rows}


def open_alarms() -> list[str]:
    """The kinds of what is not over."""
    return sorted(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))
