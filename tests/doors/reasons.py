"""Why a door cannot lead to a post by itself. The sweep uses it all the same, and looks.

What a reason stands for is checked: whoever uses such a door, no approval is made by it, and no item
moves to where it could be sent.
"""

from __future__ import annotations

from collections.abc import Iterator

READS = "only reads"
NEVER = "refused to everybody: nothing is added, changed or deleted here"
ENDS = "ends something, and starts nothing"
PEOPLE = "says who may log in or belongs to a group; memberships and approvals are not its rows"
SESSION = "about the session of who asks"
LEADS = "leads to another address"
KEEPS = "keeps the connection alive; what waits for a token asks for one by itself"
DEMO = "refuses a database that is not the demo's; tests/control/test_demo.py runs it on its own"
TOOLS = "shows what the task engine does, and changes nothing"
FEEDS = "says what is read; what is found waits for a proposal and a person's yes"
AWAY = "becomes another process, which has no database"

# The pages that the admin gives to every model. A new model has to be entered here by hand.
_READ_ONLY = (
    "workspaces/apikey",
    "workspaces/systemswitch",
    "workspaces/systemhold",
    "workspaces/workspace",
    "workspaces/alarm",
    "workspaces/auditevent",
    "workspaces/counter",
    "x_integration/xaccount",
    "x_integration/feed",
    "x_integration/sourcepost",
    "x_integration/spend",
    "publishing/queueitem",
    "publishing/approval",
    "publishing/optout",
    "publishing/candidate",
    "publishing/ownpost",
    "django_q/schedule",
    "django_q/success",
    "django_q/failure",
    "control/heartbeat",
)
_OF_PEOPLE = ("auth/group", "workspaces/user")


def _pages() -> Iterator[tuple[str, str]]:
    for model in (*_READ_ONLY, *_OF_PEOPLE):
        changes = PEOPLE if model in _OF_PEOPLE else NEVER
        url = f"url admin/{model}/"
        yield url, READS
        yield f"{url}add/", changes
        yield f"{url}<path:object_id>/history/", READS
        yield f"{url}<path:object_id>/delete/", changes
        yield f"{url}<path:object_id>/change/", changes
        yield f"{url}<path:object_id>/", LEADS


_LABELS = (
    *("auth.Group", "control.Heartbeat", "django_q.Failure", "django_q.Schedule"),
    *("django_q.Success", "publishing.Approval", "publishing.Candidate", "publishing.OptOut"),
    *("publishing.OwnPost", "publishing.QueueItem"),
    *("workspaces.Alarm", "workspaces.ApiKey", "workspaces.AuditEvent", "workspaces.Counter"),
    *("workspaces.SystemHold", "workspaces.SystemSwitch", "workspaces.User"),
    *("workspaces.Workspace", "x_integration.Feed", "x_integration.SourcePost"),
    *("x_integration.Spend", "x_integration.XAccount"),
)
REASONS: dict[str, str] = {
    **dict(_pages()),
    **{f"action {label}.delete_selected": NEVER for label in _LABELS},
    "action auth.Group.delete_selected": PEOPLE,
    "action workspaces.User.delete_selected": PEOPLE,
    "action publishing.QueueItem.reject": ENDS,
    "action workspaces.ApiKey.revoke": ENDS,
    "action workspaces.Workspace.pause": ENDS,
    "url admin/publishing/ownpost/<uuid:workspace_id>/plan/": "says when posts may be planned; what is planned stays",
    "url admin/publishing/ownpost/<path:object_id>/change/": LEADS,
    "url admin/workspaces/apikey/add/": "makes a key, which carries no more than its maker's role",
    "url admin/workspaces/user/<id>/password/": PEOPLE,
    "url admin/workspaces/workspace/<uuid:workspace_id>/pause/": ENDS,
    "url admin/workspaces/systemswitch/on/": ENDS,
    "url admin/x_integration/feed/add/": FEEDS,
    "url admin/x_integration/feed/<int:feed_id>/query/": FEEDS,
    "url admin/x_integration/feed/<int:feed_id>/switch/": FEEDS,
    "url admin/x_integration/feed/<int:feed_id>/remove/": ENDS,
    "url admin/x_integration/xaccount/<int:account_id>/disconnect/": ENDS,
    "url ": LEADS,
    "url admin": LEADS,
    "url admin/": READS,
    "url admin/login/": SESSION,
    "url admin/logout/": SESSION,
    "url admin/password_change/": SESSION,
    "url admin/password_change/done/": SESSION,
    "url admin/autocomplete/": READS,
    "url admin/jsi18n/": READS,
    "url admin/r/<path:content_type_id>/<path:object_id>/": LEADS,
    "url admin/<app_label>/": READS,
    "url admin/<url>": LEADS,
    "url health": READS,
    "url health/live": READS,
    "url version": READS,
    "url metrics": READS,
    "url integrations/x/oauth/status/<uuid:workspace_id>": READS,
    "url integrations/x/oauth/revoke/<uuid:workspace_id>": ENDS,
    "url publishing/queue/<uuid:workspace_id>/<int:number>/reject": ENDS,
    "url publishing/audit/<uuid:workspace_id>": READS,
    "url api/schema": READS,
    "url api/docs": READS,
    "decision reject": ENDS,
    "decision confirm_found": "says which post that stands on X already is ours",
    "decision opt_out": ENDS,
    "command audit_export": READS,
    "command audit_verify": READS,
    "command compare_counters": READS,
    "command create_workspace": "makes an empty workspace without an account",
    "command demo": AWAY,
    "command demo_data": DEMO,
    "command demo_once": DEMO,
    "command demo_prepare": DEMO,
    "command qinfo": TOOLS,
    "command qmemory": TOOLS,
    "command qmonitor": TOOLS,
    "command rotate_token_keys": "re-encrypts what is stored",
    "command states_page": READS,
    "command x_simulator": AWAY,
    "task control.tasks.beat": "writes a sign of life",
    "task control.tasks.purge": ENDS,
    "task publishing.tasks.look_again": "asks X for posts by their ids",
    "task revfirst.tasks.task": "wraps a function, and calls none",
    "task x_integration.tasks.renew_due": KEEPS,
}
