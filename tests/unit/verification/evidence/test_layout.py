"""The picture: what has a mark, and that nothing overlaps."""

from itertools import pairwise

import pytest

from tests.unit.verification.evidence.documents import check, document
from verification.evidence.layout import HALF, MOST_CLIENTS, MOST_HOSTS, ROW, STEP, pictures, shortened


@pytest.mark.parametrize(("hosts", "clients", "number"), [(1, 1, 1), (3, 5, 1), (50, 10, 3), (19, 11, 4)])
def test_picture_shows_each_host_and_client_once_in_the_order_of_the_config(
    hosts: int, clients: int, number: int
) -> None:
    shown = pictures(document(hosts, clients))
    assert len(shown) == number
    assert all(len(each.hosts) <= MOST_HOSTS and len(each.clients) <= MOST_CLIENTS for each in shown)
    names = [name for each in shown for name in dict.fromkeys(host.name for host in each.hosts)]
    assert list(dict.fromkeys(names)) == [f"host-{at}" for at in range(hosts)]
    assert {client.name for each in shown for client in each.clients} == {f"client-{at}" for at in range(clients)}


@pytest.mark.parametrize(("hosts", "clients"), [(1, 1), (3, 5), (50, 10)])
def test_boxes_and_marks_keep_their_distance(hosts: int, clients: int) -> None:
    for shown in pictures(document(hosts, clients)):
        rows = sorted(node.y for node in (*shown.clients, *shown.hosts))
        assert all(after - before >= ROW > 2 * HALF for before, after in pairwise(rows))
        places = [(mark.x, mark.y) for mark in shown.marks]
        assert len(set(places)) == len(places)
        assert {abs(x - other) for x, _ in places for other, _ in places} <= {STEP * at for at in range(clients)}
        assert max(rows) + HALF < shown.height
        assert all(x < shown.gateway_x for x, _ in places)


def test_client_lines_do_not_cross_each_other_above_the_hosts() -> None:
    (shown,) = pictures(document(3, 5))
    lines = [client.line for client in shown.clients if client.line]
    assert lines == sorted(lines, reverse=True)


def test_mark_has_the_verdict_that_outweighs_the_others() -> None:
    about = {"host": "host-0", "client": "client-0"}
    for added, expected in (("skipped", "passed"), ("error", "error"), ("failed", "failed")):
        checks = [check("a", "b", "passed", **about), check("a", "c", added, **about)]
        (mark,) = pictures(document(checks=checks))[0].marks
        assert (mark.verdict, mark.admitted) == (expected, True)
        assert mark.title.startswith("client client-0 to host host-0: ")


def test_way_that_nobody_tried_is_marked_so_and_a_pair_without_way_or_promise_is_not() -> None:
    (mark,) = pictures(document(checks=[]))[0].marks
    assert (mark.verdict, mark.title) == ("skipped", "client client-0 to host host-0: not tried (nothing tried)")
    shown = pictures(document(checks=[], ways=[]))[0]
    assert not shown.marks
    assert shown.clients[0].line is None
    assert shown.hosts[0].line is None


def test_refusal_is_marked_as_one() -> None:
    checks = [check("a", "b", "failed", host="host-0", client="client-0")]
    (mark,) = pictures(document(ways=[], checks=checks))[0].marks
    assert (mark.verdict, mark.admitted) == ("failed", False)
    assert mark.title == "host host-0 refuses client client-0: broken (1 broken)"


def test_promises_about_one_alone_are_marked_in_its_box() -> None:
    checks = [check("a", "b", "failed", host="host-0"), check("a", "c", client="client-0")]
    (shown,) = pictures(document(checks=checks))
    assert (shown.hosts[0].verdict, shown.clients[0].verdict) == ("failed", "passed")
    assert pictures(document(checks=[]))[0].hosts[0].verdict == ""


def test_partners_and_clients_that_are_away_are_drawn_as_outside() -> None:
    (shown,) = pictures(document(3, 5))
    assert [host.is_partner for host in shown.hosts] == [False, False, True]
    assert [client.station != ("", "") for client in shown.clients] == [True, True, True, True, False]
    assert [client.is_away for client in shown.clients] == [False, False, False, True, False]
    assert shown.gateway
    assert shown.gateway[0] + shown.gateway[1] < shown.hosts[2].y


def test_description_says_what_the_picture_shows() -> None:
    (shown,) = pictures(document(3, 5, broken=True))
    assert shown.description.startswith("5 clients, 3 hosts, 9 ways: 1 broken, 1 not judged, 2 kept, 5 not tried.")
    assert "client client-0 to host host-0: broken" in shown.description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("exactlyten", "exactlyten"),
        ("aaaaaabbbbbb", "aaaa…bbbb"),
        ("m" * 20, "mm…mm"),
        ("." * 14, "." * 14),
    ],
)
def test_long_names_lose_their_middle(text: str, expected: str) -> None:
    assert shortened(text, 10) == expected
