"""The demo acts on a development system with the simulator as X, and on nothing else."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.utils import timezone

from control import demo, services
from publishing.models import QueueItem
from publishing.states import State
from tests.clusters import Cluster, Web
from tests.factories import MembershipFactory, QueueItemFactory, UserFactory, WorkspaceFactory
from tests.worlds import environment, manage
from workspaces.models import User, Workspace
from x_integration.simulator.process import SimulatorProcess

COMMANDS = ("demo_data", "demo_once")


@pytest.fixture
def env(x):
    """What a command needs on this world."""
    return environment(x.simulator)


@pytest.fixture
def somebody_else():
    """An HTTP server on loopback that is no simulator, and the paths that it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"simulator": "no"}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def refused(command: str, env: dict[str, str]) -> str:
    """The sentence of a command that does nothing."""
    done = manage(command, env=env)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not Workspace.objects.exists()
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_it_refuses_outside_development(env, command):
    assert "ENVIRONMENT=development" in refused(command, {**env, "ENVIRONMENT": "staging"})


@pytest.mark.parametrize("command", COMMANDS)
def test_it_refuses_an_x_that_is_somewhere_else(env, command):
    far = {**env, "X_API_BASE_URL": "https://api.x.com"}
    assert "simulator only" in refused(command, far)


@pytest.mark.parametrize("name", ["X_AUTHORIZE_URL", "X_TOKEN_URL", "X_REVOKE_URL"])
def test_it_refuses_when_a_part_of_x_is_somewhere_else(env, name):
    far = {**env, name: "https://api.x.com/2/oauth2/token"}
    assert name in refused("demo_once", far)


def test_it_takes_over_nobody_who_has_its_name(env):
    person = UserFactory(username=demo.OWNER)
    assert "did not make" in refused("demo_data", env)
    assert not User.objects.get(pk=person.pk).has_perm("workspaces.system_operator")


@pytest.mark.parametrize("command", COMMANDS)
def test_it_refuses_what_is_not_the_simulator_and_asks_it_nothing_else(env, command, somebody_else):
    address, asked = somebody_else
    assert "is not the simulator" in refused(command, {**env, "X_API_BASE_URL": address})
    assert asked == ["/control"]


def test_the_demo_refuses_outside_development(env):
    done = manage("demo", "--once", env={**env, "ENVIRONMENT": "staging"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "ENVIRONMENT=development" in done.stderr


@pytest.mark.slow
def test_one_round_goes_from_hearing_to_audit(transactional_db, free_port, tmp_path):
    web = f"http://127.0.0.1:{free_port}"
    callback = f"{web}/integrations/x/oauth/callback"
    with SimulatorProcess(tmp_path / "x", sample=True, redirect_uri=callback) as simulator:
        env = {**environment(simulator), "APP_PUBLIC_BASE_URL": web}
        with Web(env, free_port), Cluster(env):
            first, second = manage("demo_once", env=env), manage("demo_once", env=env)
        posts = [post["id"] for post in simulator.posts(source="api", username=demo.BRAND)]
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    published = QueueItem.objects.filter(state=State.PUBLISHED)
    assert {item.x_post_id for item in published} <= set(posts)
    assert all(item.x_post_id in first.stdout + second.stdout for item in published)
    assert (published.count(), Workspace.objects.count()) == (6, 1)
    assert "counters, audit and timeline agree" in second.stdout


def test_without_a_worker_the_round_says_so_and_fails(x, monkeypatch):
    monkeypatch.setattr(demo, "PUBLISH_SECONDS", 0.5)
    monkeypatch.setattr(demo, "SLUG", x.connected(demo.BRAND).slug)
    User.objects.update(username=demo.OWNER, email=demo.OWNER_EMAIL)
    x.mention(Workspace.objects.get())
    monkeypatch.setattr(demo, "_somebody_new_speaks", lambda workspace: None)
    with pytest.raises(demo.DemoFailed, match="the worker is not seen"):
        demo.run_once(Workspace.objects.get(), tell=lambda line: None)


def test_preparing_again_changes_nothing(x):
    workspace = x.connected(demo.BRAND)
    Workspace.objects.update(slug=demo.SLUG)
    UserFactory(username=demo.OWNER, email=demo.OWNER_EMAIL)
    assert demo.prepare(now=timezone.now()) == workspace
    assert Workspace.objects.count() == 1


def test_the_calendar_is_filled_once(x):
    workspace = x.connected(demo.BRAND)
    UserFactory(username=demo.OWNER, email=demo.OWNER_EMAIL)
    MembershipFactory(workspace=workspace, user=User.objects.get(username=demo.OWNER))
    for _ in range(2):
        demo.fill_calendar(workspace, now=timezone.now())
    planned = workspace.items.pending().order_by("scheduled_for")
    assert [item.text for item in planned] == list(demo.OWN_POSTS)
    assert all(item.scheduled_for for item in planned)


@pytest.mark.parametrize("command", ["demo_prepare", "demo_data"])
def test_it_works_in_no_database_that_holds_anybody_elses_workspace(env, command):
    """Its worker would publish what waits there to a toy."""
    x_workspace = WorkspaceFactory(slug="a-real-team")
    done = manage(command, env=env)
    assert done.returncode == 1
    assert "a-real-team" in done.stderr
    assert list(Workspace.objects.all()) == [x_workspace]


def test_people_speak_until_something_can_be_proposed(x, monkeypatch):
    """After twenty rounds a template's words were all said lately; the next ones are not."""
    workspace, said = x.connected(demo.BRAND), []
    QueueItemFactory.create_batch(3, workspace=workspace, state=State.REJECTED)

    def propose_at_the_third(*args, **kwargs):
        said.append("something")
        if len(said) == 3:
            QueueItemFactory(workspace=workspace, number=77)
        return services.Cycle(1, int(len(said) == 3))

    monkeypatch.setattr(demo, "_somebody_new_speaks", lambda workspace: None)
    monkeypatch.setattr(demo, "fill_queue", propose_at_the_third)
    assert demo._hear_and_propose(workspace) == (3, 1)


def test_one_item_of_each_person_who_was_not_answered_yet(x):
    """The others are held back by a cooldown: a round would wait for them in vain."""
    workspace = x.connected(demo.BRAND)
    x.publish(x.approved(workspace, by="ana"))
    x.pending(workspace, by="ana")
    first = x.pending(workspace, by="rui")
    x.pending(workspace, by="rui")
    assert demo._of_new_people(workspace) == [first]
