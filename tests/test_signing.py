"""Signing: itsdangerous' bytes, with less work."""

from __future__ import annotations

import hashlib
import threading
import time
import typing as t
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import BadPayload, BadSignature, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

from asyncflask.json.tag import TaggedJSONSerializer
from asyncflask.signing import (
    MAX_INFLATED,
    _cannot_shrink,
    kept_serializer,
    make_serializer,
    plain_payload,
)

tagged = TaggedJSONSerializer()


def ours(*keys: str, salt: str = "salt") -> URLSafeTimedSerializer:
    return make_serializer(keys, salt, tagged, "hmac", hashlib.sha1)


def theirs(*keys: str, salt: str = "salt") -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        [*keys],
        salt=salt,
        serializer=tagged,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )


@pytest.mark.parametrize("value", [{}, {"a": (1, b"2")}, ["x" * 9999]])
def test_reads_and_is_read_by_itsdangerous(value: t.Any) -> None:
    assert theirs("k").loads(ours("k").dumps(value)) == value
    assert ours("k").loads(theirs("k").dumps(value), max_age=60) == value


def test_the_same_signature() -> None:
    for value in (b"", b"value", b"x" * 1000):
        assert ours("k").make_signer().get_signature(value) == theirs(
            "k"
        ).make_signer().get_signature(value)


def test_one_signer_serves_many_values_and_keys() -> None:
    serializer = ours("old", "new")
    assert serializer.make_signer() is serializer.make_signer(b"salt")
    for _ in range(3):
        for key in ("old", "new"):
            assert serializer.loads(theirs(key).dumps([key])) == [key]
        assert theirs("new").loads(serializer.dumps([1])) == [1]
        with pytest.raises(BadSignature):
            theirs("old").loads(serializer.dumps([1]))
        with pytest.raises(BadSignature):
            serializer.loads(theirs("unknown").dumps([1]))


def test_another_salt_for_one_call() -> None:
    serializer = ours("k")
    text = serializer.dumps([1], salt="once")
    assert theirs("k", salt="once").loads(text) == [1]
    assert serializer.loads(text, salt="once") == [1]
    with pytest.raises(BadSignature):
        serializer.loads(text)


def test_many_threads_at_once() -> None:
    serializer, wrong = ours("old", "new"), []
    cookies = [theirs(key).dumps([key] * 50) for key in ("old", "new")]
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            for cookie, key in zip(cookies, ("old", "new"), strict=True):
                if serializer.loads(cookie) != [key] * 50:
                    wrong.append(key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_compressed_payload_has_a_bound() -> None:
    serializer = ours("k")
    fits = "x" * (MAX_INFLATED - 2)
    assert serializer.loads(theirs("k").dumps(fits)) == fits
    with pytest.raises(BadPayload, match=str(MAX_INFLATED)):
        serializer.loads(theirs("k").dumps(fits + "x"))


@pytest.mark.parametrize("payload", [b".", b".?", b"." + base64_encode(b"not zlib"), b".a"])
def test_what_is_not_compressed_text(payload: bytes) -> None:
    serializer = ours("k")
    signed = serializer.make_signer().sign(payload)
    with pytest.raises(BadPayload):
        serializer.loads(signed)


def test_only_a_few_are_kept() -> None:
    for number in range(40):
        kept_serializer((f"key {number}",), "salt", tagged, "hmac", hashlib.sha1)
    info = kept_serializer.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize <= 32


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.binary(max_size=8)
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
HASHES = {"sha1": hashlib.sha1, "sha512": hashlib.sha512, "blake2b": hashlib.blake2b}
CHOSEN = st.tuples(
    st.lists(st.text(min_size=1, max_size=300) | st.binary(min_size=1), min_size=1, max_size=3),
    st.sampled_from(["hmac", "concat", "django-concat", "none"]),
    st.sampled_from([*HASHES]),
)


def both(chosen: tuple[list[t.Any], str, str]) -> tuple[t.Any, t.Any]:
    """Return our serializer, and the one that Flask would make."""
    keys, derivation, name = chosen
    mine = make_serializer((*keys,), "salt", tagged, derivation, HASHES[name])
    options = {"key_derivation": derivation, "digest_method": HASHES[name]}
    flasks: t.Any = URLSafeTimedSerializer(
        t.cast("t.Any", keys), salt="salt", serializer=tagged, signer_kwargs=options
    )
    return mine, flasks


def outcome(load: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> object:
    try:
        return load(*args, **kwargs)
    except Exception as error:
        return type(error)


@settings(deadline=None)
@given(VALUES, CHOSEN)
def test_itsdangerous_writes_the_same_bytes(value: t.Any, chosen: t.Any) -> None:
    mine, flasks = both(chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_800_000_000.5)
        text = mine.dumps(value)
        assert text == flasks.dumps(value)
        assert mine.loads(text, max_age=0) == flasks.loads(text, max_age=0)
        assert mine.loads(text, max_age=0, return_timestamp=True) == flasks.loads(
            text, return_timestamp=True
        )


@settings(deadline=None, max_examples=300)
@given(
    CHOSEN,
    st.integers(0, 2),
    st.integers(-3, 3),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("aZ09-_.=+/ é")), max_size=3),
)
def test_itsdangerous_reads_the_same_values(
    chosen: t.Any, signer: int, age: int, changes: list[tuple[int, str]]
) -> None:
    """Whatever became of the text, whichever key has signed it, and however old it is."""
    mine, flasks = both(chosen)
    keys = chosen[0]
    old = both(([keys[signer % len(keys)]], *chosen[1:]))[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_800_000_000.0)
        text = old.dumps({"n": 1})
        for place, letter in changes:
            text = text[:place] + letter + text[place + 1 :]
        patch.setattr(time, "time", lambda: 1_800_000_000.0 + age)
        for max_age in (None, 0, 2):
            expected = outcome(flasks.loads, text, max_age=max_age)
            assert outcome(mine.loads, text, max_age=max_age) == expected


@settings(deadline=None, max_examples=1000)
@given(
    st.text("ab", max_size=28)
    | st.text("0123456789abcdef", max_size=28)
    | st.text('{}",: abcdefghij0123456789', max_size=28)
    | st.builds(lambda text, times: text * times, st.text(max_size=7), st.integers(1, 9))
)
def test_what_is_said_not_to_shrink_does_not(text: str) -> None:
    data = text.encode()
    if _cannot_shrink(data):
        assert all(len(zlib.compress(data, level)) >= len(data) - 1 for level in range(-1, 10))


def test_a_small_session_is_not_compressed_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    serializer = ours("k")
    monkeypatch.setattr(zlib, "compress", None)
    assert serializer.loads(serializer.dumps({"user_id": 12345}), max_age=9) == {"user_id": 12345}


def test_made_up_salts_fill_no_memory() -> None:
    serializer: t.Any = ours("k")
    for number in range(200):
        serializer.loads(serializer.dumps(1, salt=f"{number}"), salt=f"{number}")
    assert len(serializer._usual_signer.algorithm._keyed) <= 32


@pytest.mark.parametrize("digest", ["sha256", hashlib.sha256])
def test_a_hash_by_its_name(digest: t.Any) -> None:
    mine = make_serializer(("k" * 100,), "salt", tagged, "hmac", digest)
    flasks: t.Any = URLSafeTimedSerializer(
        ["k" * 100],
        salt="salt",
        serializer=tagged,
        signer_kwargs={"key_derivation": "hmac", "digest_method": digest},
    )
    assert flasks.loads(mine.dumps([1]), max_age=60) == [1]
    assert mine.loads(flasks.dumps([1]), max_age=60) == [1]


def test_what_signed_text_says() -> None:
    assert plain_payload(ours("k").dumps({"a": 1})) == b'{"a":1}'
    for text in ("", ".compressed", "é.a", "a.b.c"):
        assert plain_payload(text) is None
