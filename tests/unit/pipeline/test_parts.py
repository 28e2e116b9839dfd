"""Parts of a comment in little room."""

import pytest

from pipeline.parts import LEAST, Part, Rank, beginning, block, bullets, fitted

LINES = "a line of a text\n" * 1_000


@pytest.mark.parametrize("content", ["```\n# heading", "````", "a ``` b", "~~~", "", "`"])
def test_content_cannot_end_its_code_block(content: str) -> None:
    first, *_, last = block(Rank.DIFF, content, "diff").whole.splitlines()
    fence = first.removesuffix("diff")
    assert last == fence
    assert fence not in content
    assert set(fence) == {"`"}
    assert len(fence) >= 3


def test_parts_that_fit_are_whole_and_in_their_order() -> None:
    parts = [Part(Rank.DIFF, "diff"), Part(Rank.OUTCOME, "outcome"), bullets(Rank.ACCESS, ["a", "b"])]
    assert fitted(parts, 100) == "diff\n\noutcome\n\n- a\n- b"


def test_more_important_part_gets_the_room() -> None:
    parts = [block(Rank.DIFF, LINES), block(Rank.ERROR, LINES)]
    shown = fitted(parts, 10_000)
    assert 9_900 < len(shown.encode()) <= 10_000
    diff, error = shown.split("\n\n")
    assert LEAST - 100 < len(diff) <= LEAST
    assert len(error) > 8_900
    for each in (diff, error):
        assert each.startswith("```\na line of a text\n")
        assert each.endswith("\na line of a text\n… and more; the log of the run has all of it.\n```")


def test_part_that_cannot_be_cut_is_left_out() -> None:
    picture = Part(Rank.PICTURE, "x" * 500, is_whole=True)
    outcome = Part(Rank.OUTCOME, "outcome")
    assert fitted([picture, outcome], 1_000) == f"{picture.text}\n\noutcome"
    assert fitted([picture, outcome], 400) == "outcome"


def test_beginning_has_whole_lines_and_whole_characters() -> None:
    assert beginning("one\ntwo\nthree", 9) == "one\ntwo"
    assert beginning("one\ntwo", 7) == "one\ntwo"
    assert beginning("é" * 10, 7) == "é" * 3
    assert beginning("one", -1) == ""
