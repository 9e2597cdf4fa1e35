"""The pages for people."""

import pytest
import requests

NASTY = "<script>alert(1)</script> & \"quotes\" 'single' $body ${title}"


def page(simulator, path):
    return requests.get(simulator.base_url + path, timeout=10)


def act(simulator, **form):
    url = f"{simulator.base_url}/intent/tweet"
    return requests.post(url, data=form, allow_redirects=False, timeout=10)


@pytest.mark.parametrize(
    "path", ["/", "/brand", "/brand/status/{id}", "/intent/tweet?in_reply_to={id}"]
)
def test_everything_that_people_say_is_escaped(simulator, brand, path):
    simulator.make_user("brand", name=NASTY, description=NASTY, location=NASTY)
    post = simulator.say("brand", NASTY)
    text = page(simulator, path.replace("{id}", post["id"])).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;" in text
    assert "$body ${title}" in text


def test_the_text_of_a_hand_off_is_escaped_in_its_form(simulator, brand):
    answer = requests.get(
        f"{simulator.base_url}/intent/tweet", params={"text": "</textarea><script>"}, timeout=10
    )
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text


@pytest.mark.parametrize("path", ["/", "/brand", "/intent/tweet", "/nobody"])
def test_a_page_fetches_nothing_from_elsewhere(simulator, brand, path):
    answer = page(simulator, path)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "http" not in answer.text.replace(simulator.base_url, "")


@pytest.mark.parametrize("path", ["/", "/brand", "/intent/tweet", "/nobody"])
def test_every_page_says_that_this_is_a_simulator(simulator, brand, path):
    text = page(simulator, path).text
    assert "Local X simulator — nothing here leaves this machine" in text


@pytest.mark.parametrize("path", ["/nobody", "/brand/status/42", "/brand/status/x", "/a/b/c/d"])
def test_what_is_not_there_is_a_404_page(simulator, brand, path):
    assert page(simulator, path).status_code == 404


@pytest.mark.parametrize("name", ["style.css", "icon.svg"])
def test_the_stylesheet_and_the_icon_are_served(simulator, name):
    assert page(simulator, f"/assets/{name}").status_code == 200


@pytest.mark.parametrize("name", ["views.py", "..%2Fapp.py", "frame.html"])
def test_nothing_else_is_served_as_an_asset(simulator, name):
    assert page(simulator, f"/assets/{name}").status_code == 404


def test_a_reply_of_the_connected_account_is_marked(simulator, brand, fan):
    post = simulator.say("fan", "@brand hi")
    brand.reply("hello!", post["id"])
    text = page(simulator, "/").text
    assert 'class="post depth-1 ours"' in text
    assert "sent through the API" in text


def test_what_goes_wrong_on_purpose_stands_on_the_page(simulator, brand):
    simulator.fault("duplicate", "POST", "/2/tweets", times=3, user="brand")
    simulator.fault("drop", "*", "/2/<b>", times=None)
    text = page(simulator, "/").text
    assert "duplicate: POST /2/tweets of @brand, 3 more" in text
    assert "drop: * /2/&lt;b&gt;, until taken down" in text


def test_a_profile_says_that_its_account_is_suspended(simulator, brand):
    simulator.make_user("brand", suspended=True)
    assert "Suspended" in page(simulator, "/brand").text


def test_texts_find_their_own_direction(simulator, brand):
    simulator.say("brand", "صباح القهوة")
    assert '<p class="text" dir="auto" lang="ar">صباح القهوة</p>' in page(simulator, "/").text


def test_a_conversation_keeps_a_place_for_what_was_deleted(simulator, brand):
    root = simulator.say("brand", "one")
    answer = simulator.say("brand", "two", in_reply_to=root["id"])
    simulator.take_down(root["id"])
    text = page(simulator, f"/brand/status/{answer['id']}").text
    assert "This post was deleted." in text
    assert "two" in text


def test_a_long_conversation_is_shortened_on_the_home_page(simulator, brand):
    root = simulator.say("brand", "root")
    for n in range(12):
        simulator.say("brand", f"answer {n}", in_reply_to=root["id"])
    assert "Show all 13 posts" in page(simulator, "/").text


def test_a_person_posts_a_hand_off(simulator, brand, fan):
    post = simulator.say("fan", "just talking")  # nobody summoned the brand: people may answer
    answer = act(simulator, user="brand", text="Olá!\r\nTudo bem?", in_reply_to=post["id"])
    made = simulator.posts(username="brand")[0]
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/brand/status/{made['id']}"
    assert (made["source"], made["text"]) == ("web", "Olá!\nTudo bem?")
    assert made["in_reply_to"] == post["id"]


def test_the_hand_off_form_is_filled_in(simulator, brand, fan):
    post = simulator.say("fan", "just talking")
    url = f"{simulator.base_url}/intent/tweet"
    params = {"in_reply_to": post["id"], "text": "Olá & bom dia"}
    text = requests.get(url, params=params, timeout=10).text
    assert "just talking" in text
    assert "Olá &amp; bom dia</textarea>" in text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"user": "nobody", "text": "a"}, "Choose who is posting."),
        ({"user": "brand", "text": " "}, "Write something first."),
        ({"user": "brand", "text": "a" * 281}, "too long"),
    ],
)
def test_a_wrong_form_comes_back_with_a_sentence(simulator, brand, form, told):
    answer = act(simulator, **form)
    assert answer.status_code == 400
    assert told in answer.text


def test_an_answer_to_what_is_gone_is_a_404_page(simulator, brand):
    assert act(simulator, user="brand", text="a", in_reply_to="42").status_code == 404
    assert page(simulator, "/intent/tweet?in_reply_to=42").status_code == 404
