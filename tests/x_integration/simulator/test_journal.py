"""State outlives the process, however it ends."""

from tests.x_integration.simulator.caller import Caller, refresh


def restarted_after_kill(simulator):
    simulator.kill()
    return simulator.start()


def test_everything_that_was_answered_survives_a_kill(own_simulator):
    with own_simulator:
        brand = Caller(own_simulator, own_simulator.connect("brand"))
        mention = own_simulator.say("fan", "@brand hi") if own_simulator.make_user("fan") else {}
        brand.reply("hello!", mention["id"])
        gone = brand.post("oops").json()["data"]["id"]
        brand.delete(gone)
        own_simulator.say("fan", "@brand later", indexed_after_seconds=3600)

        def everything():  # the bill comes last: what was read before the kill is not charged again
            read = brand.timeline(), brand.mentions()
            return own_simulator.posts(), read, own_simulator.bill()

        before = everything()
        assert before[1][1]["meta"]["result_count"] == 1
        restarted_after_kill(own_simulator)
        assert everything() == before


def test_a_spent_refresh_token_stays_spent_after_a_kill(own_simulator):
    with own_simulator:
        brand = Caller(own_simulator, own_simulator.connect("brand"))
        second = refresh(own_simulator, brand.tokens.refresh_token).json()
        restarted_after_kill(own_simulator)
        assert refresh(own_simulator, brand.tokens.refresh_token).status_code == 400
        assert refresh(own_simulator, second["refresh_token"]).status_code == 400
        assert own_simulator.overview()["refresh_reuses"] == 1


def test_a_suspension_outlives_a_kill(own_simulator):
    with own_simulator:
        brand = Caller(own_simulator, own_simulator.connect("brand"))
        own_simulator.make_user("brand", suspended=True)
        restarted_after_kill(own_simulator)
        assert brand.post("hello").status_code == 403


def test_a_grant_that_a_newer_one_ended_stays_ended_after_a_kill(own_simulator):
    with own_simulator:
        own_simulator.settings(one_grant_per_user=True)
        first, second = own_simulator.connect("brand"), own_simulator.connect("brand")
        restarted_after_kill(own_simulator)
        assert own_simulator.overview()["grants_live"] == 1
        assert refresh(own_simulator, first.refresh_token).status_code == 400
        assert refresh(own_simulator, second.refresh_token).status_code == 200


def test_refused_refreshes_are_remembered_after_a_kill(own_simulator):
    with own_simulator:
        brand = own_simulator.connect("brand")
        for token in ("unknown", brand.refresh_token, brand.refresh_token):
            refresh(own_simulator, token)
        restarted_after_kill(own_simulator)
        assert own_simulator.overview()["refresh_refusals"] == 2


def test_a_duplicate_is_remembered_after_a_kill(own_simulator):
    with own_simulator:
        brand = Caller(own_simulator, own_simulator.connect("brand"))
        brand.post("once")
        restarted_after_kill(own_simulator)
        assert brand.post("once").status_code == 403


def test_a_torn_last_line_is_cut_off(own_simulator):
    with own_simulator:
        own_simulator.make_user("brand")
        own_simulator.say("brand", "whole")
        own_simulator.kill()
        with (own_simulator.state / "journal.jsonl").open("ab") as journal:
            journal.write(b'{"e":"post","id":7,"te')
        own_simulator.start()
        own_simulator.say("brand", "after")
        restarted_after_kill(own_simulator)
        assert [post["text"] for post in own_simulator.posts()] == ["whole", "after"]


def test_no_token_stands_in_the_journal(own_simulator):
    with own_simulator:
        tokens = own_simulator.connect("brand")
        journal = (own_simulator.state / "journal.jsonl").read_text()
        assert tokens.access_token not in journal
        assert str(tokens.refresh_token) not in journal


def test_a_reset_forgets_on_disk_too(own_simulator):
    with own_simulator:
        own_simulator.make_user("brand")
        own_simulator.reset()
        restarted_after_kill(own_simulator)
        assert own_simulator.overview()["users"] == 0
