import time

import pytest

from models.nearest import nearest

KNOWN = ("deadline_ms", "name", "source", "width")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("widht", "width"),
        ("Source", "source"),
        ("deadline", "deadline_ms"),
        ("zzz", None),
        ("", None),
        (5, None),
    ],
)
def test_nearest(word: object, meant: str | None) -> None:
    assert nearest(word, KNOWN) == meant
    assert nearest(word, iter(KNOWN)) == meant


def test_none_is_near_if_there_is_none() -> None:
    assert nearest("width", ()) is None


def test_a_long_word_takes_no_time() -> None:
    start = time.process_time()
    nearest("width" * 100_000, KNOWN)
    assert time.process_time() - start < 0.1
