"""Routes: under their fixed names, without trailing slashes outside /admin/."""

from uuid import UUID

import pytest
from django.urls import URLPattern, get_resolver, resolve, reverse

from revfirst import urls

WORKSPACE = UUID(int=7)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/health", "health"),
        ("/health/live", "health-live"),
        ("/version", "version"),
        ("/metrics", "metrics"),
        ("/integrations/x/oauth/authorize", "x-authorize"),
        ("/integrations/x/oauth/callback", "x-callback"),
        (f"/integrations/x/oauth/status/{WORKSPACE}", "x-status"),
        (f"/integrations/x/oauth/revoke/{WORKSPACE}", "x-revoke"),
        ("/publishing/post", "direct-post"),
        ("/publishing/reply", "direct-reply"),
        (f"/publishing/queue/{WORKSPACE}", "queue"),
        (f"/publishing/queue/{WORKSPACE}/7", "queue-item"),
        (f"/publishing/queue/{WORKSPACE}/7/reject", "queue-reject"),
        (f"/publishing/audit/{WORKSPACE}", "audit"),
        ("/api/schema", "api-schema"),
        ("/api/docs", "api-docs"),
    ],
)
def test_each_route_of_the_design_is_there(path, name):
    assert resolve(path).url_name == name


def test_no_route_but_the_admin_ends_in_a_slash():
    own = [pattern for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)]
    assert len(own) > 8
    assert [str(pattern.pattern) for pattern in own if str(pattern.pattern).endswith("/")] == []


def test_the_root_leads_to_the_admin(client):
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("admin:index"))


def test_whoever_is_not_logged_in_is_sent_to_the_log_in_page(client, db):
    answer = client.get("/admin/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/admin/")


@pytest.mark.parametrize(
    "path", ["/health/", "/metrics/", "/admin.php", "/integrations/x/oauth/status/7"]
)
def test_anything_else_is_missing(client, db, path):
    assert client.get(path).status_code == 404


def test_no_name_is_given_twice():
    names = [key for key in get_resolver().reverse_dict if isinstance(key, str)]
    assert len(names) == len(set(names)) >= 8


def test_every_page_forbids_scripts_and_frames_of_others(client):
    headers = client.get("/health/live").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")


def test_another_host_name_is_refused(client):
    assert client.get("/health/live", headers={"Host": "evil.example"}).status_code == 400
