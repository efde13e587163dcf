"""Positions, addresses and URLs: they print one way, and parse back or say why not."""

from __future__ import annotations

import json

import pytest

from aurora_store.log import Address, Peer, Position, ZooKeeperAddress


@pytest.mark.parametrize("value", [0, 1, 42, 2**31, 10**10 - 1])
def test_a_position_prints_one_way_and_parses_back(value: int) -> None:
    position = Position(value)
    assert Position.parse(str(position)) == position == value
    assert f"{position}" == str(position) == str(value)
    assert json.dumps(position) == str(value)


def test_a_position_may_be_given_with_leading_zeros() -> None:
    assert Position.parse("0000000042") == 42


@pytest.mark.parametrize("text", ["", "-1", "1.0", "0x1", " 1", "\u0661", "99999999999"])
def test_a_text_that_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="a log position is"):
        Position.parse(text)


def test_a_position_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        Position(-1)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("10.0.0.1:5050", "log-replica(1)@10.0.0.1:5050"),
        ("log-replica(2)@a.example:5050", "log-replica(2)@a.example:5050"),
    ],
)
def test_a_peer_is_an_address_or_the_name_of_an_actor(text: str, printed: str) -> None:
    assert str(Peer.parse(text)) == printed
    assert Peer.parse(printed) == Peer.parse(text)


@pytest.mark.parametrize("text", ["", "a", "a:0", "a:65536", "a:b", "x@a:1", "a:1,b:2", "a b:1"])
def test_a_text_that_is_no_peer(text: str) -> None:
    with pytest.raises(ValueError, match="is neither like"):
        Peer.parse(text)


def test_a_zookeeper_url_with_everything() -> None:
    address = ZooKeeperAddress.parse("zk://user:p:w@a.example:2181,10.0.0.2:2182/some/path")
    assert address.servers == (Address("a.example", 2181), Address("10.0.0.2", 2182))
    assert address.connect_string == "a.example:2181,10.0.0.2:2182"
    assert address.znode == "/some/path"
    assert address.credentials == "user:p:w"


def test_no_password_is_printed() -> None:
    address = ZooKeeperAddress.parse("zk://user:secret@a:1/path")
    assert "secret" not in f"{address} {address!r}"
    with pytest.raises(ValueError, match="needs a path") as caught:
        ZooKeeperAddress.parse("zk://user:secret@a:1/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "a:1/x", "http://a:1/x", "zk://", "zk:///x", "zk://a:1", "zk://a:1/", "zk://a:1/x/",
     "zk://a:1//x", "zk://a:1/../x", "zk://a:0/x", "zk://a:1,/x", "zk://a/x", "zk://user@a:1/x",
     "zk://user:@a:1/x", "zk://:pw@a:1/x"],
)  # fmt: skip
def test_a_text_that_is_no_zookeeper_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"zk://|not an address|not user:password|port 0"):
        ZooKeeperAddress.parse(text)
