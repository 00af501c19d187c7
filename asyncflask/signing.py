"""Signed values for cookies: itsdangerous' formats, made fast and safe enough for every request.

The bytes are those of `itsdangerous.URLSafeTimedSerializer`. What differs: keys are derived once
and not on each use, and a compressed payload has a bound.
"""

from __future__ import annotations

import hmac
import typing as t
import zlib
from functools import cached_property, lru_cache

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


class _KeyedHMAC(HMACAlgorithm):
    """HMAC that sets up each key once.

    PERF: copying a keyed hash takes 1 us, setting one up 2, deriving the key before it 2 more.
    """

    def __init__(self, digest_method: t.Any) -> None:
        super().__init__(digest_method)
        self._keyed: dict[bytes, hmac.HMAC] = {}  # as many as there are secret keys

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Return the signature of `value`."""
        keyed = self._keyed.get(key)
        if keyed is None:
            keyed = self._keyed[key] = hmac.new(key, digestmod=self.digest_method)
        signing = keyed.copy()
        signing.update(value)
        return signing.digest()


class _CachingSigner(TimestampSigner):
    """A signer that derives each key once, for use by many requests and threads."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived: dict[t.Any, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """Return the key that signs for a secret key, the newest one by default."""
        derived = self._derived.get(secret_key)
        if derived is None:
            derived = self._derived[secret_key] = super().derive_key(secret_key)
        return derived


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

    def load_payload(self, payload: bytes, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Return the value of a payload whose signature was found good.

        :raises BadPayload: if it cannot be read, or inflates beyond the bound.
        """
        if not payload.startswith(b"."):
            return super().load_payload(payload, *args, **kwargs)
        text = _inflate(payload[1:])
        return super(URLSafeSerializerMixin, self).load_payload(text, *args, **kwargs)


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
