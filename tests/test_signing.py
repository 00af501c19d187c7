"""Signing: itsdangerous' bytes, with less work."""

from __future__ import annotations

import hashlib
import threading
import typing as t

import pytest
from itsdangerous import BadPayload, BadSignature, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

from asyncflask.json.tag import TaggedJSONSerializer
from asyncflask.signing import MAX_INFLATED, kept_serializer, make_serializer

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
