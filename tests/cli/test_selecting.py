"""`-k EXPRESSION`."""

from __future__ import annotations

import pytest

from diembft.cli.selecting import MOST_WORDS, expression
from diembft.errors import InputError

NAMES = ("flood", "lost_sync", "lost_votes", "message_loss", "format/Rounds")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lost", "lost_sync lost_votes"),
        ("LOST", "lost_sync lost_votes"),
        ("rounds", "format/Rounds"),
        ("format/", "format/Rounds"),
        ("not lost", "flood message_loss format/Rounds"),
        ("lost and votes", "lost_votes"),
        ("lost or loss", "lost_sync lost_votes message_loss"),
        ("lost and not votes or flood", "flood lost_sync"),
        ("lost and not (votes or flood)", "lost_sync"),
        ("not not flood", "flood"),
        ("((flood))", "flood"),
        ("nothing", ""),
        ("notes or android", ""),
    ],
)
def test_what_an_expression_means(text: str, meant: str) -> None:
    means = expression(text)
    assert [name for name in NAMES if means(name)] == meant.split()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the end is where a word"),
        ("  ", "the end is where a word"),
        ("a and", "the end is where a word"),
        ("or a", "'or' is where a word"),
        ("not", "the end is where a word"),
        ("(a", "a parenthesis is not closed"),
        ("a)", "')' is where 'and', 'or' or the end"),
        ("a b", "'b' is where 'and', 'or' or the end"),
        ("()", "')' is where a word"),
        (" or ".join(["a"] * MOST_WORDS), f"has more than {MOST_WORDS} words"),
    ],
)
def test_what_is_no_expression_is_one_line(text: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        expression(text)
    assert str(raised.value).startswith(f"-k: {text[:200]!r}: {what}")


def test_the_longest_expression_can_be_read_and_asked() -> None:
    assert expression("(" * 49 + "a" + ")" * 49)("banana")
    assert not expression("not " * 99 + "a")("banana")
