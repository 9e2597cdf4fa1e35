"""No password stands before the simulator: what a page in somebody's browser can do must be nothing."""

import pytest
import requests

from tests.x_integration.simulator.caller import consent_form

JSON = {"Content-Type": "application/json"}
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
]


def knock(simulator, method, path, *, headers, **more):
    """One request as a browser, or something else, sends it."""
    url = f"{simulator.base_url}{path}"
    return requests.request(method, url, headers=headers, timeout=10, allow_redirects=False, **more)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "10.0.0.1", "localhost.x"])
@pytest.mark.parametrize("path", ["/", "/control", "/2/users/me"])
def test_a_name_that_leads_here_by_a_trick_is_refused(simulator, host, path):
    assert knock(simulator, "GET", path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_every_name_of_this_machine_is_welcome(simulator, name):
    host = {"Host": f"{name}:{simulator.port}"}
    assert knock(simulator, "GET", "/control", headers=host).status_code == 200


@pytest.mark.parametrize("foreign", FOREIGN)
def test_another_sites_page_changes_nothing(simulator, brand, foreign):
    simulator.make_user("lia")
    form = consent_form(simulator) | {"user": "lia", "decision": "allow"}
    tries = [
        knock(simulator, "POST", "/control/reset", headers=JSON | foreign, data="{}"),
        knock(
            simulator, "POST", "/intent/tweet", headers=foreign, data={"user": "lia", "text": "a"}
        ),
        knock(simulator, "POST", "/i/oauth2/authorize", headers=foreign, data=form),
        knock(simulator, "DELETE", "/control/faults", headers=foreign),
    ]
    assert [answer.status_code for answer in tries] == [403] * 4
    assert simulator.overview()["users"] == 2
    assert simulator.posts() == []


@pytest.mark.parametrize("own", [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {}])
def test_the_simulators_own_form_posts(simulator, own):
    simulator.make_user("lia")
    form = {"user": "lia", "text": "by hand"}
    assert knock(simulator, "POST", "/intent/tweet", headers=own, data=form).status_code == 303
    origin = {"Origin": simulator.base_url}
    again = knock(simulator, "POST", "/intent/tweet", headers=origin, data=form | {"text": "b"})
    assert again.status_code == 303
