"""Signed values for cookies: itsdangerous' formats, made fast and safe enough for every request.

The bytes are those of `itsdangerous.URLSafeTimedSerializer`, and what it reads is read. What
differs: keys are derived and set up once and not on each use, text that cannot get shorter is not
compressed for nothing, and a compressed payload has a bound. Whatever is not certainly good is left
to itsdangerous, which knows what to call it.
"""

from __future__ import annotations

import hashlib
import time
import typing as t
import zlib
from binascii import a2b_base64, b2a_base64
from functools import cached_property, lru_cache, partial
from hmac import compare_digest

from itsdangerous import (
    BadData,
    BadPayload,
    HMACAlgorithm,
    TimestampSigner,
    URLSafeTimedSerializer,
    base64_decode,
)
from itsdangerous.url_safe import URLSafeSerializerMixin

#: Bytes to which a cookie's payload may inflate. RFC 6265 (section 6.1) has browsers keep cookies
#: of 4096 bytes, and deflate expands by 1032 at the most, so no cookie that a browser can hold is
#: refused, and no other one costs more.
MAX_INFLATED = 4096 * 1032

#: Keys that one object keeps set up. An app has a few; more come of salts that it makes up.
_MAX_KEYS = 32

#: What HMAC mixes into the key for its two hashes (RFC 2104 section 2).
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))

#: Between the usual alphabet of base64 and the one for URLs (RFC 4648 sections 4 and 5).
_FOR_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")

#: What fills a last group of so many letters.
_PADDING = b"", b"===", b"==", b"="

#: Gives the signature of a value.
Sign = t.Callable[[bytes], bytes]


def _encode(value: bytes) -> bytes:
    """Return base64 for URLs, without padding."""
    return b2a_base64(value, newline=False).translate(_FOR_URL).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    """Return what base64 for URLs stands for, as forgiving as itsdangerous is.

    :raises ValueError: if it stands for nothing.
    """
    return a2b_base64(text.translate(_FROM_URL) + _PADDING[len(text) % 4])


def _hmac(key: bytes, digest_method: t.Any) -> Sign:
    """Return what computes HMACs with a key (RFC 2104 section 2).

    PERF: the two hashes are copied where they have taken in the key: 0.9 us for a value, where
    `hmac.new` takes 2.6 and a copy of its object 1.7.

    :param digest_method: a hash's constructor, name or module, as for `hmac.new`.
    """
    if isinstance(digest_method, str):
        digest_method = partial(hashlib.new, digest_method)
    new = digest_method if callable(digest_method) else digest_method.new
    inner, outer = new(), new()
    size = inner.block_size
    if len(key) > size:
        key = new(key).digest()
    key = key.ljust(size, b"\0")
    inner.update(key.translate(_INNER))
    outer.update(key.translate(_OUTER))

    def signature(value: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(value)
        second.update(first.digest())
        digest: bytes = second.digest()
        return digest

    return signature


class _KeyedHMAC(HMACAlgorithm):
    """HMAC that sets up each key once."""

    def __init__(self, digest_method: t.Any) -> None:
        super().__init__(digest_method)
        self._keyed: dict[bytes, Sign] = {}

    def keyed(self, key: bytes) -> Sign:
        """Return what signs with a key."""
        known = self._keyed.get(key)
        if known is None:
            if len(self._keyed) >= _MAX_KEYS:
                self._keyed.clear()
            known = self._keyed[key] = _hmac(key, self.digest_method)
        return known

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Return the signature of `value`."""
        return self.keyed(key)(value)


class _CachingSigner(TimestampSigner):
    """A signer that derives each key once, for use by many requests and threads."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived: dict[t.Any, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """Return the key that signs for a secret key, the newest one by default."""
        derived = self._derived.get(secret_key)
        if derived is None:
            if len(self._derived) >= _MAX_KEYS:
                self._derived.clear()
            derived = self._derived[secret_key] = super().derive_key(secret_key)
        return derived


@lru_cache(maxsize=4)  # now, and a few clocks that tests have stopped
def _stamp(second: int) -> bytes:
    """Return a time as it stands in a signed value."""
    return _encode(second.to_bytes(8, "big").lstrip(b"\0"))


def _cannot_shrink(text: bytes) -> bool:
    """Whether text gets no shorter by compression, so that none need be tried.

    Deflate (RFC 1951) has each byte at least once as a literal. With the fixed codes (section
    3.2.6) that is 8 bits for each that occurs, 10 around the block, and 8 at the least for what
    is left of the text; zlib adds 6 bytes. With codes of the block's own (section 3.2.7) their
    description alone takes 70 bits, and up to 28 bytes of text this is no less.
    PERF: 0.5 us, not 5, for a small session; zlib begins by clearing 256 kB.
    """
    return len(text) <= 28 and len(text) <= len({*text}) + 10


class _CookieSerializer(URLSafeTimedSerializer):
    """itsdangerous' serializer, for the cookies of many requests, some of them hostile.

    It keeps its signer, and inflates no payload beyond `MAX_INFLATED`.
    """

    def make_signer(self, salt: str | bytes | None = None) -> TimestampSigner:
        """Return the signer for a salt; the usual one is made once."""
        return self._usual_signer if salt in (None, self.salt) else self._make_signer(salt)

    @cached_property
    def _usual_signer(self) -> TimestampSigner:
        return self._make_signer(None)

    def _make_signer(self, salt: str | bytes | None) -> TimestampSigner:
        return t.cast("TimestampSigner", super().make_signer(salt))

    #: What signs with each secret key, the newest one first; empty until it is needed.
    #: PERF: no cached property, which takes 250 instructions for each look.
    _signs: tuple[Sign, ...] = ()

    def _set_up(self) -> tuple[Sign, ...]:
        signer = self._usual_signer
        keyed = t.cast("_KeyedHMAC", signer.algorithm).keyed
        self._signs = tuple(keyed(signer.derive_key(key)) for key in reversed(signer.secret_keys))
        return self._signs

    def dumps(self, obj: t.Any, salt: str | bytes | None = None) -> t.Any:
        """Return a value as signed text.

        :param obj: the value.
        :param salt: another salt than the usual one.
        """
        if salt is not None:
            return super().dumps(obj, salt)
        signed = self.signed(obj)
        return signed.decode() if self.is_text_serializer else signed

    def signed(self, obj: t.Any) -> bytes:
        """Return a value as signed text, in ASCII.

        :param obj: the value.
        """
        value = self.dump_payload(obj) + b"." + _stamp(int(time.time()))
        return value + b"." + _encode((self._signs or self._set_up())[0](value))

    def loads(  # type: ignore[override]
        self,
        s: str | bytes,
        max_age: int | None = None,
        return_timestamp: bool = False,
        salt: str | bytes | None = None,
    ) -> t.Any:
        """Return the value of signed text.

        :param s: the text.
        :param max_age: seconds for which it is good.
        :param return_timestamp: return when it was signed, too.
        :param salt: another salt than the usual one.
        :raises itsdangerous.BadData: if it was not signed with one of the keys, or is too old.
        """
        if max_age is not None and salt is None and not return_timestamp:
            payload = self._payload(s.encode() if isinstance(s, str) else s, max_age)
            if payload is not None:
                return self.load_payload(payload)
        return super().loads(s, max_age, return_timestamp, salt)

    def _payload(self, signed: bytes, max_age: int) -> bytes | None:
        """Return the payload of signed text if it is good without a doubt.

        PERF: 3 us for a small cookie, where itsdangerous' own steps take 10 with the same key.
        """
        value, _, signature = signed.rpartition(b".")
        payload, dot, stamp = value.rpartition(b".")
        if not dot or len(stamp) > 11:  # eight bytes
            return None
        for sign in self._signs or self._set_up():
            if compare_digest(_encode(sign(value)), signature):
                break
        else:
            return None
        try:
            age = int(time.time()) - int.from_bytes(_decode(stamp), "big")
        except ValueError:
            return None
        return payload if 0 <= age <= max_age else None

    def dump_payload(self, obj: t.Any) -> bytes:
        """Return a value as text that may be signed."""
        written: t.Any = self.serializer.dumps(obj, **self.serializer_kwargs)
        text: bytes = written.encode() if isinstance(written, str) else written
        if not _cannot_shrink(text):
            compressed = zlib.compress(text)
            if len(compressed) < len(text) - 1:
                return b"." + _encode(compressed)
        return _encode(text)

    def load_payload(self, payload: bytes, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Return the value of a payload whose signature was found good.

        :raises BadPayload: if it cannot be read, or inflates beyond the bound.
        """
        if payload.startswith(b"."):
            text = _inflate(payload[1:])
        else:
            try:
                text = _decode(payload)
            except ValueError as error:
                raise BadPayload("The payload is not base64.", original_error=error) from error
        if args or kwargs or not self.is_text_serializer:
            return super(URLSafeSerializerMixin, self).load_payload(text, *args, **kwargs)
        try:
            return self.serializer.loads(text.decode())
        except Exception as error:
            raise BadPayload("The payload cannot be read.", original_error=error) from error


def plain_payload(signed: str) -> bytes | None:
    """Return what signed text says, whoever has signed it; None if that is not easily read."""
    payload = signed.partition(".")[0]
    try:
        return _decode(payload.encode("ascii")) if payload else None
    except ValueError:
        return None


def _inflate(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(base64_decode(payload), MAX_INFLATED)
    except (BadData, zlib.error) as error:
        raise BadPayload("The payload is not compressed text.", original_error=error) from error
    if not inflater.eof:
        raise BadPayload(f"The payload is cut short, or inflates beyond {MAX_INFLATED} bytes.")
    return text


def make_serializer(
    secret_keys: tuple[str | bytes, ...],
    salt: str | bytes,
    serializer: t.Any,
    key_derivation: str,
    digest_method: t.Any,
) -> URLSafeTimedSerializer:
    """Return a serializer for cookies.

    :param secret_keys: all may have signed what is read, the last one signs.
    :param salt: what sets these values apart from others signed with the same keys.
    :param serializer: has ``dumps`` and ``loads``, for the payload.
    :param key_derivation: how a signing key is made of a secret key: "hmac", "django-concat", ...
    :param digest_method: a hash's constructor, as in `hashlib`.
    """
    return _CookieSerializer(
        t.cast("tuple[str, ...]", secret_keys),
        salt=salt,
        serializer=serializer,
        signer=_CachingSigner,
        signer_kwargs={
            "key_derivation": key_derivation,
            "digest_method": digest_method,
            "algorithm": _KeyedHMAC(digest_method),
        },
    )


#: `make_serializer`, or what it made before for the same arguments.
#: PERF: 7 us a request saved, and 8 more by the signer that stays with it. Bounded: a process has
#: an app or two and seldom changes its keys, but tests make many.
kept_serializer = lru_cache(maxsize=16)(make_serializer)
