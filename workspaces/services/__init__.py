"""Every write to this app's rows."""

from workspaces.services.alarms import end_alarms, raise_alarm
from workspaces.services.keys import (
    OPERATORS_SCOPES,
    create_api_key,
    live_api_key,
    revoke_api_key,
)
from workspaces.services.people import create_workspace
from workspaces.services.policy import change_policy
from workspaces.services.roles import (
    approvers,
    check_member,
    check_operator,
    check_system_operator,
    is_operator,
    is_system_operator,
    role_of,
)
from workspaces.services.switches import (
    KILL_SWITCH,
    LOCK_SECONDS_OF_OTHERS,
    SEND_WINDOW_SECONDS,
    check_seen,
    contain_workspace,
    holding_nobody_up,
    kill_switch,
    last_press,
    lift_containment,
    lift_hold,
    pause_workspace,
    place_hold,
    resume_workspace,
    set_kill_switch,
    wait_until_nothing_begins,
    write_containment,
    write_hold,
)

__all__ = [
    "KILL_SWITCH",
    "LOCK_SECONDS_OF_OTHERS",
    "OPERATORS_SCOPES",
    "SEND_WINDOW_SECONDS",
    "approvers",
    "change_policy",
    "check_member",
    "check_operator",
    "check_seen",
    "check_system_operator",
    "contain_workspace",
    "create_api_key",
    "create_workspace",
    "end_alarms",
    "holding_nobody_up",
    "is_operator",
    "is_system_operator",
    "kill_switch",
    "last_press",
    "lift_containment",
    "lift_hold",
    "live_api_key",
    "pause_workspace",
    "place_hold",
    "raise_alarm",
    "resume_workspace",
    "revoke_api_key",
    "role_of",
    "set_kill_switch",
    "wait_until_nothing_begins",
    "write_containment",
    "write_hold",
]
