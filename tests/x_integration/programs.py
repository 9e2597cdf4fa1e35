"""What a program does at our doors with its keys, well and badly: for the hunt for what comes out."""

import re

import requests

DIRECT = "/publishing/post"
MAKE_KEY = "/admin/workspaces/apikey/add/"
SCOPES = (
    "status:read",
    "queue:read",
    "queue:propose",
    "queue:edit",
    "audit:read",
    "publish:direct",
)
_KEY = re.compile(r"rf_[0-9a-f]{8}_[\w-]{43}")


def make_key(owner, workspace):
    """The owner makes a key in the admin, where it is shown once."""
    form = {"workspace": workspace.pk, "name": "a program", "scopes": SCOPES}
    shown = set(_KEY.findall(owner.post(MAKE_KEY, data=form).text))
    assert len(shown) == 1
    return shown.pop()


def use_the_doors(web_url, workspace, key, internal_key, *, keep):
    """Ask what keys may ask, and badly; publish directly, with the internal key and with none."""
    queue, audit = f"/publishing/queue/{workspace.pk}", f"/publishing/audit/{workspace.pk}"
    program = requests.Session()
    program.headers["Authorization"] = f"Bearer {key}"
    program.hooks["response"].append(lambda answer, **_: keep(answer.text))

    def ask(method, path, status, **more):
        answer = program.request(method, web_url + path, timeout=30, **more)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"

    for path in (queue, audit):
        ask("GET", path, 200)
    ask("GET", "/api/schema", 403)
    ask("GET", f"{queue}?limit={key}", 400)
    ask("POST", queue, 422, json={"text": key * 20})
    ask("POST", queue, 400, data=f"{{{key}", headers={"Content-Type": "application/json"})
    ask("GET", queue, 401, headers={"Authorization": f"Bearer {key}x"})
    ask("GET", queue, 401, headers={"Authorization": f"Basic {key}"})
    direct = {"workspace_id": str(workspace.pk), "text": "Said directly"}
    ask("POST", DIRECT, 403, json=direct)
    ask("POST", DIRECT, 403, json=direct, headers={"X-Internal-Key": f"{internal_key}x"})
    ask("POST", DIRECT, 400, json={"text": ""}, headers={"X-Internal-Key": internal_key})
    idempotent = {"X-Internal-Key": internal_key, "Idempotency-Key": "once"}
    ask("POST", DIRECT, 201, json=direct, headers=idempotent)
    ask("POST", DIRECT, 422, json=direct | {"text": "Other"}, headers=idempotent)
