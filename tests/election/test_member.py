"""Who stands and who leads, as the JSON of a znode and back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_store.election import Leader, Member

_JSON = st.dictionaries(st.text(max_size=20), st.none() | st.integers() | st.text(max_size=20))
_MEMBERS = st.builds(
    Member,
    st.from_regex(r"[^\s/]{1,40}", fullmatch=True),
    st.text(max_size=40),
    _JSON,
)


@given(_MEMBERS, st.none() | st.integers(1), st.none() | st.integers(0, 4_000_000_000_000))
def test_a_leader_is_read_back_as_it_was_written(
    member: Member, epoch: int | None, since_ms: int | None
) -> None:
    begin = datetime(1970, 1, 1, tzinfo=timezone.utc)
    since = None if since_ms is None else begin + timedelta(milliseconds=since_ms)
    leader = Leader(member, epoch, since)
    assert Leader.from_json(leader.as_json()) == leader


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 201, "line\n"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a candidate"):
        Member(name)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [({"blob": "x" * 20_000}, "at most 16384"), ({"thing": object()}, "not JSON")],
    ids=["too large", "not JSON"],
)
def test_metadata_that_cannot_be_in_a_znode_is_refused(
    metadata: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Member("red", metadata=metadata)
