"""Canaries: no token, key or code of a full run comes out anywhere, in whatever way the run goes wrong.

Real gunicorn, real workers, a real X and a place that takes what is sent to Sentry, all at the level
DEBUG; then every log, row, event, page, answer and repr is searched for every secret that there ever
was.
"""

import json
import logging
import secrets
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from socket import create_connection
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests
from cryptography.fernet import Fernet
from django.contrib import admin
from django.contrib.admin.utils import quote as admin_quote
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone
from django_q.models import Task
from django_q.signing import SignedPackage
from django_q.tasks import async_task
from django_redis import get_redis_connection

from publishing.models import QueueItem
from publishing.states import State
from revfirst.errors import RevFirstError
from revfirst.logs import JsonFormatter
from tests.clusters import eventually
from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from tests.sinks import MARKER, OpenSimulator, Sentry, find, gunicorn, rows, trail, worker
from tests.worlds import World, environment, manage
from tests.x_integration import programs
from tests.x_integration.conftest import opened
from workspaces.models import Alarm, AuditEvent, Counter, Membership, User
from x_integration.client import Answer, TokenPair, XClient
from x_integration.crypto import Secret
from x_integration.models import Feed, OAuthState, XAccount
from x_integration.services import begin_authorization, refresh_workspace_x_tokens

AUTHORIZE, CALLBACK = "/integrations/x/oauth/authorize", "/integrations/x/oauth/callback"
STATUS, REVOKE = "/integrations/x/oauth/status", "/integrations/x/oauth/revoke"
TOKEN = "/2/oauth2/token"
SCOPE = "tweet.read tweet.write users.read offline.access"
ROWS, MORE_VIEWS = 3, ("history", "delete")  # of a model; every row is searched in the database
FRAMES = {"exchange_code", "refresh_token", "create_post", "revoke_token"}  # of what breaks down
SEALED_IN = {"x_integration_xaccount", "x_integration_oauthstate"}
PLANTED = {
    name: f"canary-{name}-{secrets.token_urlsafe(24)}"
    for name in (
        "access",
        "refresh",
        "broken-access",
        "broken-refresh",
        "in-text",
        "in-list",
        "internal-key",
    )
}


def broken_renewals(sent):
    """What X may answer to a renewal besides a good pair; `sent` is the refresh token that it was sent."""
    broken = {
        "access_token": f"{PLANTED['broken-access']} é",
        "refresh_token": PLANTED["broken-refresh"],
    }
    echo = {
        "error": f"no {sent}",
        "error_description": f"refresh_token={sent}; token {sent} (spent)",
    }
    return [
        ("html", {}),
        ("rate_limited", {}),
        ("drop", {}),
        ("status", {"status": 200, "body": broken}),
        ("status", {"status": 200, "body": json.dumps({"access_token": PLANTED["in-text"]})}),
        ("status", {"status": 200, "body": [PLANTED["in-list"]]}),
        ("status", {"status": 401, "body": echo | {"error": "invalid_client"}}),
        ("status", {"status": 429, "body": echo}),
        ("status", {"status": 500, "body": echo}),
        ("status", {"status": 400, "body": echo | {"error": "invalid_grant"}}),
    ]


def good_renewal():
    """A pair of ours, as if X had granted it."""
    pair = {"access_token": PLANTED["access"], "refresh_token": PLANTED["refresh"]}
    return {"status": 200, "body": {**pair, "expires_in": 7200, "scope": SCOPE}}


def press(url, **changes):
    """Press a button on X's page; the query with which X sends the person back."""
    page, _, query = url.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    form = asked | {"user": MARKER, "decision": "allow"} | changes
    sent_back = requests.post(page, data=form, allow_redirects=False, timeout=10)
    query = parse_qs(urlsplit(sent_back.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


# --- the run --------------------------------------------------------------------------------------


class Browser:
    """A person at our web; every answer is kept, under where it came from."""

    def __init__(self, base_url, user, seen):
        self.base_url, self.user, self.seen = base_url, user, seen
        self.session = requests.Session()
        self.session.hooks["response"].append(self._keep)

    def _keep(self, answer, **_):
        path = urlsplit(answer.url).path
        where = f"admin pages of {self.user}" if path.startswith("/admin/") else "answers"
        if path == AUTHORIZE or "/connect/" in path:
            where = "answers with a state"
        if path == programs.MAKE_KEY and answer.request.method == "POST":
            where = "answers with a key"
        self.seen[where].append(f"{answer.status_code} {dict(answer.headers)}\n{answer.text}")

    def get(self, path, **more):
        return self.session.get(self.base_url + path, timeout=30, **more)

    def post(self, path, **more):
        headers = {"X-CSRFToken": self.session.cookies.get("csrftoken", "")}
        return self.session.post(self.base_url + path, headers=headers, timeout=30, **more)

    def log_in(self, password):
        self.get("/admin/login/")
        form = {"username": self.user.username, "password": password, "next": "/admin/"}
        assert self.post("/admin/login/", data=form).url.endswith("/admin/")

    def look_everywhere(self):
        """Every list and the newest rows' pages in the admin, and what else can be read."""
        for path in ("/", "/health", "/metrics", "/version", "/nowhere"):
            self.get(path)
        for model in admin.site._registry:
            base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            keys = model._default_manager.order_by("-pk").values_list("pk", flat=True)[:ROWS]
            pages = [f"{admin_quote(key)}/change/" for key in keys]
            pages += [f"{admin_quote(key)}/{view}/" for key in keys[:1] for view in MORE_VIEWS]
            for page in ("", "add/", *pages):
                self.get(base + page)


class Run:
    """A workspace's account from consent to revocation; `secrets` is what nobody may see."""

    def __init__(self, simulator, base_url, flag):
        self.x, self.flag = World(simulator), flag
        self.secrets = {f"planted {name}": value for name, value in PLANTED.items()}
        owner, root = UserFactory(username="owner"), UserFactory(username="root", is_superuser=True)
        self.workspace = WorkspaceFactory(slug=MARKER, owner=owner)
        MembershipFactory(workspace=self.workspace, user=root, role=Membership.Role.MEMBER)
        self.seen: defaultdict[str, list[str]] = defaultdict(list)
        self.owner, self.root = (Browser(base_url, user, self.seen) for user in (owner, root))
        simulator.make_user(MARKER)

    def log_in(self):
        password = secrets.token_urlsafe(12)
        for browser in (self.owner, self.root):
            browser.user.set_password(password)
            browser.user.save()
            browser.log_in(password)

    def account(self):
        return XAccount.objects.select_related("workspace").get()

    # --- connecting

    def consent(self, **changes):
        """Begin, and press a button at X; what X sends the person back with."""
        begun = self.owner.post(AUTHORIZE, json={"workspace_id": str(self.workspace.pk)}).json()
        return self.remember(press(begun["authorize_url"], **changes))

    def remember(self, query):
        for name in query.keys() & {"state", "code"}:
            self.secrets[f"{name} {len(self.secrets)}"] = query[name]
        return query

    def come_back(self, query, status, **more):
        answer = self.owner.get(CALLBACK, params=query, **more)
        assert answer.status_code == status, answer.text

    def connect(self):
        self.come_back(self.consent(), 200)

    def connect_in_vain(self):
        """Every way in which the callback refuses, each with a real code or a real state."""
        used = self.consent()
        self.come_back(used, 200)
        for page in ({}, {"Accept": "text/html,*/*;q=0.8"}):
            self.come_back(used, 409, headers=page)
            self.come_back(used | {"state": "somebody-elses-state"}, 409, headers=page)
            self.come_back(used | {"state": used["state"] * 20}, 400, headers=page)
            self.come_back({"code": used["code"]}, 400, headers=page)
            self.come_back(used, 400, headers=page | {"Host": "elsewhere.example"})
        self.owner.post(f"{CALLBACK}?{urlencode(used)}", json=used)
        self.owner.get(f"{CALLBACK}/", params=used)
        self.come_back(self.consent(decision="cancel"), 409)
        self.come_back(self.consent(scope="tweet.read users.read"), 409)
        query = self.consent()
        echo = {"error": query["code"], "error_description": f"code={query['code']} is no code"}
        self.x.fault("status", path=TOKEN, status=400, body=echo)
        self.come_back(query, 409)
        self.x.fault("html", path="/2/users/me", method="GET")
        self.come_back(self.consent(), 503)

    def ask_for_the_status(self):
        answer = self.owner.get(f"{STATUS}/{self.workspace.pk}")
        assert answer.json()["account_username"] == MARKER, answer.text

    # --- the same in the admin

    def press_every_button(self):
        """Connect, renew and disconnect on the account's page; renewing meets an X that repeats."""
        page = "/admin/x_integration/xaccount"
        sent_on = self.owner.post(f"{page}/connect/{self.workspace.pk}/", allow_redirects=False)
        query = self.remember(press(sent_on.headers["Location"]))
        self.come_back(query, 200, headers={"Accept": "text/html,*/*;q=0.8"})
        self.make_due()
        said = {
            "error": "invalid_request",
            "error_description": opened(self.account().refresh_token),
        }
        self.x.fault("status", path=TOKEN, status=400, body=said)
        account = f"{page}/{self.account().pk}"
        for button in ("renew", "lift-hold", "disconnect"):
            assert self.owner.post(f"{account}/{button}/").status_code == 200
        assert self.account().revoked_at

    # --- the worker

    def work(self, name, *args):
        """Let the worker do a task, to its end."""
        done = async_task(name, *args, task_name=MARKER)
        assert eventually(lambda: Task.objects.filter(id=done).exists())

    def propose(self):
        """Somebody new speaks, and the worker proposes what to answer: the item."""
        self.x.mention(self.workspace, by=f"guest{QueueItem.objects.count()}")
        Feed.objects.update(next_read_at=timezone.now())
        self.work("control.tasks.cycle")
        return QueueItem.objects.get(state=State.PENDING)

    def approve(self, item):
        """The owner says yes, and the worker publishes; the state that it comes to."""
        done = Task.objects.count()
        page = f"/admin/publishing/queueitem/{item.pk}/change/"
        self.owner.post(page, data={"decision": "approve", f"version-{item.pk}": item.version})
        assert eventually(lambda: Task.objects.count() > done)
        item.refresh_from_db()
        return item.state

    def publish_after_a_401(self):
        self.x.fault("unauthorized")
        before = self.account().token_version
        assert self.approve(self.propose()) == State.PUBLISHED
        assert self.account().token_version == before + 1

    def make_due(self):
        now = timezone.now()
        XAccount.objects.update(
            expires_at=now + timedelta(minutes=1),
            last_refresh_at=None,
            refresh_not_before=None,
            reauthorization_required_at=None,
        )

    def renew(self):
        """Let the worker renew now; what it wrote down of it."""
        self.make_due()
        self.work("x_integration.tasks.renew_due")
        return self.account().last_refresh_error

    def renew_in_vain(self):
        for kind, more in broken_renewals(opened(self.account().refresh_token)):
            self.x.fault(kind, path=TOKEN, **more)
            assert self.renew(), (kind, more)

    def renew_to_a_pair_that_x_does_not_know(self):
        item = self.propose()
        self.x.fault("status", path=TOKEN, **good_renewal())
        assert self.renew() == ""
        XAccount.objects.update(last_refresh_at=None)
        assert self.approve(item) == State.APPROVED
        assert self.account().last_refresh_error == "refused"

    def lose_a_renewal(self):
        for kind in ("lost_answer", "truncate"):
            self.connect()
            self.x.fault(kind, path=TOKEN)
            assert self.renew() in ("x_token_lost", "x_token_broken")
            assert self.renew() == "refused"
        self.connect()

    # --- what nobody expects

    def break_down(self):
        """An exception inside the client while it holds a token: in tasks, threads and views."""
        query, item = self.consent(), self.propose()
        self.flag.touch()
        self.come_back(query, 500)
        assert self.approve(item) == State.PUBLISHING
        self.renew()
        assert self.owner.post(f"{REVOKE}/{self.workspace.pk}").status_code == 500
        self.flag.unlink()

    def revoke(self):
        """Disconnect, while X repeats what it was sent."""
        self.connect()
        said = {"error": opened(self.account().refresh_token)}
        self.x.fault("status", path="/2/oauth2/revoke", status=400, body=said)
        answer = self.owner.post(f"{REVOKE}/{self.workspace.pk}")
        assert answer.json() == {"revoked": True, "confirmed_by_x": False}

    def let_a_program_in(self):
        """Its key is shown once, and opens nothing afterwards; the internal key travels beside it."""
        key, internal = programs.make_key(self.owner, self.workspace), PLANTED["internal-key"]
        self.secrets["API key"] = key
        keep = self.seen["answers to programs"].append
        url = self.owner.base_url
        programs.use_the_doors(url, self.workspace, key, internal, keep=keep)

    def whole(self):
        """All of it, in the order in which one thing needs the other."""
        self.log_in()
        self.connect_in_vain()
        self.press_every_button()
        self.connect()
        self.ask_for_the_status()
        assert self.approve(self.propose()) == State.PUBLISHED
        self.publish_after_a_401()
        self.let_a_program_in()
        self.renew_in_vain()
        self.renew_to_a_pair_that_x_does_not_know()
        self.lose_a_renewal()
        self.break_down()
        self.revoke()
        self.connect()
        for browser in (self.owner, self.root):
            browser.look_everywhere()


# --- where it could come out ----------------------------------------------------------------------


def commands(env, keys):
    """What the commands say that have to do with keys; with a ring that opens nothing, too."""
    said = []
    for words, ring in [
        ("rotate_token_keys", f"{keys[1]},{keys[0]}"),
        ("rotate_token_keys", Fernet.generate_key().decode()),
        ("check", ",".join(keys)),
        ("check", f"{keys[0]},{keys[1]}="),
    ]:
        done = manage(*words.split(), env=env | {"TOKEN_ENCRYPTION_KEY": ring})
        said.append(f"{done.returncode} {done.stdout} {done.stderr}")
    return "\n".join(said)


def tasks():
    fields = ("name", "func", "args", "kwargs", "result")
    return repr([[getattr(task, name) for name in fields] for task in Task.objects.all()])


def redis():
    server = get_redis_connection()
    return repr([(key, server.dump(key)) for key in server.scan_iter()])


def rows_as_printed():
    """How rows look when somebody prints them, or all that they hold."""
    models = (XAccount, OAuthState, AuditEvent, Alarm, Counter, User)
    printed = [f"{row!r} {row!s} {vars(row)}" for model in models for row in model.objects.all()]
    dumped = StringIO()
    call_command("dumpdata", "x_integration", stdout=dumped)
    return "\n".join([*printed, repr(XAccount.objects.values()), dumped.getvalue()])


def postgres_log(settings):
    """What the database server wrote down, when it is one of ours."""
    log = settings.VAR_DIR / "log" / "postgres.log"
    return {"PostgreSQL's log": log.read_text()} if log.exists() else {}


def leave_the_marker():
    """Where nothing of the run would be told by name."""
    cache.set(MARKER, MARKER)
    session = SessionStore()
    session[MARKER] = MARKER
    session.create()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(f"SELECT {MARKER}")


def configured(settings, simulator):
    """What stands in the environment."""
    basic = f"{simulator.client_id}:{simulator.client_secret}"
    known = {
        "SECRET_KEY": settings.SECRET_KEY,
        "X_CLIENT_SECRET": simulator.client_secret,
        "the Basic header": b64encode(basic.encode()).decode(),
        "the database's password": connection.settings_dict["PASSWORD"],
    }
    known |= {f"key {n}": key for n, key in enumerate(settings.TOKEN_ENCRYPTION_KEYS)}
    return {name: value for name, value in known.items() if value}


@dataclass
class Found:
    """All that was said, by where, and what nobody may say: by name, and as ciphertext."""

    sinks: dict[str, str]
    tables: dict[str, str]
    secrets: dict[str, str]
    sealed: dict[str, str]


@pytest.fixture
def read_trail(transactional_db):
    """What ever stood in a column."""
    with trail() as read:
        yield read


def numbered(name, values):
    return {f"{name} {number}": value for number, value in enumerate(values)}


def stored(read):
    """The ciphertexts that ever stood in the database, and what is in them."""
    columns = ("access_token", "refresh_token", "code_verifier")
    sealed = {name: text for c in columns for name, text in numbered(c, read(c)).items()}
    return sealed, {name: Secret(text).open() for name, text in sealed.items()}


@pytest.fixture
def processes(free_port, tmp_path, settings, transactional_db):
    """gunicorn, a worker, a simulator and Sentry; and what they said, once they are asked."""
    settings.TOKEN_ENCRYPTION_KEYS = [Fernet.generate_key().decode() for _ in range(2)]
    return Processes(tmp_path, free_port, settings.TOKEN_ENCRYPTION_KEYS)


class Processes:
    """gunicorn, a worker, a simulator and Sentry."""

    def __init__(self, folder, port, keys):
        self.folder, self.port = folder, port
        self.web_url = f"http://127.0.0.1:{port}"
        self.sentry = Sentry()
        self.simulator = OpenSimulator(
            folder / "state",
            client_secret=f"canary-client-{secrets.token_urlsafe(24)}",
            redirect_uri=self.web_url + CALLBACK,
        )
        self.env = {
            "LOG_LEVEL": "DEBUG",
            "SENTRY_DSN": self.sentry.dsn,
            "SENTRY_TRACES_SAMPLE_RATE": "1",
            "TOKEN_ENCRYPTION_KEY": ",".join(keys),
            "TEST_BREAKS": str(folder / "break"),
            "PUBLISHING_DIRECT_API_ENABLED": "true",
            "PUBLISHING_DIRECT_API_INTERNAL_KEY": PLANTED["internal-key"],
        }

    @contextmanager
    def running(self):
        """All of them, once they answer."""
        with self.sentry, self.simulator:
            self.env = environment(self.simulator) | self.env
            web, work = self.folder / "web.log", self.folder / "worker.log"
            with gunicorn(web, self.env, self.port), worker(work, self.env):
                assert eventually(self._answer, seconds=60)
                yield
            self.said = {"web log": web.read_text(), "worker log": work.read_text()}
            self.said |= {"simulator": self.simulator.words()}
        self.said |= {"Sentry": "\n".join(self.sentry.envelopes)}

    def _answer(self):
        try:
            return requests.get(f"{self.web_url}/health/live", timeout=5).ok
        except requests.RequestException:
            return False


@pytest.fixture
def full_run(processes, read_trail, settings):
    """A whole life of an account, and everything that was said in it."""
    with processes.running():
        run = Run(processes.simulator, processes.web_url, processes.folder / "break")
        run.whole()
        said = commands(processes.env, settings.TOKEN_ENCRYPTION_KEYS)
        printed = rows_as_printed()
        leave_the_marker()
    sealed, plain = stored(read_trail)
    queued = [repr(SignedPackage.loads(payload)) for payload in read_trail("payload")]
    sinks = {
        **processes.said,
        **{where: "\n".join(answers) for where, answers in run.seen.items()},
        "commands": said,
        "rows as printed": printed,
        "queued tasks": "\n".join(queued),
        "tasks": tasks(),
        "sessions": repr([session.get_decoded() for session in Session.objects.all()]),
        "Redis": redis(),
    }
    known = run.secrets | plain | numbered("minted", processes.simulator.minted())
    return Found(sinks, rows(), known | configured(settings, processes.simulator), sealed)


@pytest.mark.slow
def test_no_secret_of_a_full_run_comes_out(full_run, processes, settings):
    sinks, tables, secret = full_run.sinks, full_run.tables, full_run.secrets
    public = {name: value for name, value in secret.items() if not name.startswith("state")}
    owed = {"answers with a state": sinks.pop("answers with a state")}  # it sends the person on
    told_once = {"answers with a key": sinks.pop("answers with a key")}
    assert find(told_once, secret) == {("answers with a key", "API key")}
    elsewhere = {name: text for name, text in tables.items() if name not in SEALED_IN}
    came_out = find(sinks | tables | postgres_log(settings), secret) | find(owed, public)
    assert came_out | find(sinks | owed | elsewhere, full_run.sealed) == set()
    assert find(owed, secret)
    check_the_hunt_was_not_blind(sinks | postgres_log(settings), full_run, processes)


def frames_of(event):
    errors = event.get("exception", {}).get("values", ())
    return [frame for error in errors for frame in error["stacktrace"]["frames"]]


def check_the_hunt_was_not_blind(sinks, full_run, processes):
    """What may be known was seen everywhere, at the level DEBUG, and Sentry was told."""
    assert find(sinks, {"marker": MARKER}) == {(sink, "marker") for sink in sinks}
    for log in ("web log", "worker log"):
        assert '"level": "debug"' in sinks[log]
    events = processes.sentry.events()
    assert len(events) >= 2
    frames = [frame for event in events for frame in frames_of(event)]
    assert {frame["function"] for frame in frames} >= FRAMES
    assert {table for table, _ in find(full_run.tables, full_run.sealed)} == SEALED_IN


# --- the same in one process, where every logger can be heard -------------------------------------


@pytest.fixture
def every_line(caplog, transactional_db):
    """What all loggers say at the level DEBUG, SQL with its parameters too: as we and as others write it."""
    for name in (None, *logging.Logger.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    connection.force_debug_cursor = True
    forms = (JsonFormatter(), logging.Formatter())
    yield lambda: "\n".join(form.format(line) for line in caplog.records for form in forms)
    connection.force_debug_cursor = False


def test_no_logger_tells_a_secret_at_the_level_debug(client, x, read_trail, settings, every_line):
    known = live_in_this_process(client, x)
    sealed, plain = stored(read_trail)
    sinks = {"lines": every_line(), "rows": rows_as_printed()}
    assert find(sinks, {**PLANTED, **known, **plain, **configured(settings, x.simulator)}) == set()
    assert find({"rows": sinks["rows"]}, sealed) == set()
    assert find(sinks, {"marker": MARKER}) == {(sink, "marker") for sink in sinks}
    loggers = ("urllib3.connectionpool", "django.db.backends", "django.request")
    assert find(sinks, {name: f'"logger": "{name}"' for name in loggers}) == {
        ("lines", name) for name in loggers
    }


def live_in_this_process(client, x):
    """Connect, fail to, publish after a 401, renew in vain and revoke; the codes and states of it."""
    owner, _ = UserFactory(), x.simulator.make_user(MARKER)
    workspace = WorkspaceFactory(owner=owner, slug=MARKER)
    client.force_login(owner)
    body = {"workspace_id": str(workspace.pk)}
    begun = client.post(AUTHORIZE, body, content_type="application/json").json()
    query = press(begun["authorize_url"])
    assert [client.get(CALLBACK, query).status_code for _ in range(2)] == [200, 409]
    x.fault("unauthorized")
    assert x.publish(x.approved(workspace)).state == State.PUBLISHED
    for kind, more in broken_renewals(opened(XAccount.objects.get().refresh_token)):
        XAccount.objects.update(last_refresh_at=None, reauthorization_required_at=None)
        x.fault(kind, path=TOKEN, **more)
        assert refresh_workspace_x_tokens(workspace, now=timezone.now()) != "success"
    client.post(f"{REVOKE}/{workspace.pk}")
    return query


# --- errors and values ----------------------------------------------------------------------------


def test_no_error_of_the_client_shows_what_it_was_sent_or_told(x):
    pair = x.simulator.connect(MARKER)
    shown = []
    for kind, more in broken_renewals(pair.refresh_token):
        x.fault(kind, path=TOKEN, **more)
        with pytest.raises(RevFirstError) as caught:
            XClient().refresh_token(pair.refresh_token)
        shown.append(f"{caught.value!r} {caught.value!s} {vars(caught.value)}")
        shown += traceback.format_exception(caught.value)
    assert find({"errors": "".join(shown)}, {"sent": pair.refresh_token, **PLANTED}) == set()
    assert "x_token_broken" in "".join(shown)


def test_a_token_that_x_repeats_in_its_words_to_a_write_is_not_kept(x):
    item = x.approved(x.connected(MARKER))
    token = opened(XAccount.objects.get().access_token)
    said = {"title": "Forbidden", "detail": f"Not with {token}.", "status": 403}
    x.fault("status", status=403, body=said)
    assert x.publish(item).last_words
    assert find(rows(), {"access token": token}) == set()


def test_a_client_secret_that_x_repeats_is_in_no_alarm(x):
    workspace, secret = x.connected(MARKER), x.simulator.client_secret
    said = {"error": "invalid_client", "error_description": f"{secret} is not known."}
    x.fault("status", path=TOKEN, status=401, body=said)
    refresh_workspace_x_tokens(workspace, now=timezone.now())
    assert Alarm.objects.exists()
    assert find(rows(), {"client secret": secret}) == set()


def test_no_value_that_holds_a_secret_shows_it(x):
    workspace = x.connected(MARKER)
    begun = begin_authorization(workspace, user=User.objects.get(), now=timezone.now())
    access, refresh = PLANTED["access"], PLANTED["refresh"]
    values = (
        TokenPair(access, refresh, timedelta(hours=2), SCOPE, "bearer"),
        Answer(200, {"access_token": access}, {"Set-Cookie": access}, access.encode()),
        Secret.seal(access),
        begun,
        XClient(),
    )
    shown = "".join(f"{value!r} {value!s} {value:} {[value]}" for value in values)
    known = {**PLANTED, "state": begun.state, "sealed": values[2].ciphertext}
    assert find({"values": shown, "rows": rows_as_printed()}, known) == set()
    assert "TokenPair" in shown


def test_gunicorn_tells_no_code_of_a_request_that_it_cannot_read(processes):
    code, web = secrets.token_urlsafe(32), ("127.0.0.1", processes.port)
    with processes.running(), create_connection(web) as connected:
        connected.sendall(f"GET {CALLBACK}?code={code}&\xff HTTP/1.1\r\n\r\n".encode("latin-1"))
        assert b"400" in connected.recv(1000)
    assert "Invalid request" in processes.said["web log"]
    assert find(processes.said, {"code": code}) == set()


# --- the hunt itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dress",
    [
        str,
        json.dumps,
        repr,
        quote,
        lambda secret: urlencode({"code": secret}),
        lambda secret: secret.encode().hex(),
        lambda secret: b64encode(f"{secret}".encode()).decode(),
        lambda secret: b64encode(f"i:{secret}".encode()).decode(),
        lambda secret: urlsafe_b64encode(f"id:{secret}:and more".encode()).decode(),
    ],
)
def test_the_hunt_finds_a_secret_in_every_dress(dress):
    secret = "canary?/+=>>>" + secrets.token_urlsafe(24)
    assert find({"here": f"x{dress(secret)}x", "there": "nothing"}, {"it": secret}) == {
        ("here", "it")
    }
