"""What a person types to search X: what X would refuse is refused here, in a sentence."""

import pytest

from x_integration.errors import BadQuery
from x_integration.queries import checked_query
from x_integration.simulator.queries import BadQuery as RefusedByX
from x_integration.simulator.queries import read_query

GOOD = [
    "coffee",
    '"flat white"',
    "#coffee OR #tea",
    "(coffee OR tea) lang:en -is:retweet",
    "from:cafe -(milk OR sugar)",
    "@cafe has:links",
    "コーヒー",
    "('coffee')",
    "--coffee tea",
    "(" * 20 + "coffee" + ")" * 20,
]
BAD = {
    "": "Say what to search for",
    "   ": "Say what to search for",
    "a" * 513: "at most 512 characters; these are 513",
    '"flat white': "quotation mark",
    '"" coffee': "Nothing stands between",
    "(coffee": "opened and not closed",
    "coffee)": "closed that was not opened",
    "coffee ()": "OR stands between",
    "OR coffee": "OR stands between",
    "coffee OR": "OR stands between",
    "coffee OR OR tea": "OR stands between",
    "(coffee OR) tea": "OR stands between",
    "coffee AND tea": "X reads AND as a sign",
    "coffee or tea": "X reads or as a sign",
    "coffee - tea": "A minus stands right before",
    "lang:en": "filters alone",
    "is:reply has:links": "filters alone",
    "-coffee": "filters alone",
    "coffee OR lang:en": "filters alone",
    "-(coffee OR tea) lang:en": "filters alone",
    "(lang:en OR is:reply)": "filters alone",
    "coffee\x00": "nobody sees",
    "coffee\ntea": "nobody sees",
    "coffee \u202etea": "nobody sees",
    "coffee \ud800": "nobody sees",
}


@pytest.mark.parametrize("query", GOOD)
def test_a_query_that_x_takes_is_taken(query):
    assert checked_query(query) == query
    read_query(query, tier="self_serve")


@pytest.mark.parametrize(("query", "sentence"), BAD.items())
def test_a_query_that_x_refuses_is_refused_with_what_is_wrong(query, sentence):
    with pytest.raises(BadQuery, match=sentence):
        checked_query(query)


@pytest.mark.parametrize("query", [query for query in BAD if query.isprintable()])
def test_x_refuses_what_is_refused_here(query):
    with pytest.raises(RefusedByX):
        read_query(query, tier="self_serve")


def test_blanks_that_look_alike_are_one_blank():
    assert checked_query("  flat\u00a0\u3000 white ") == "flat white"


def test_hundreds_of_parentheses_are_no_trouble():
    assert checked_query("(" * 250 + "tea" + ")" * 250)


def test_an_operator_that_is_not_known_here_is_left_to_x():
    assert checked_query("url:example.com") == "url:example.com"
