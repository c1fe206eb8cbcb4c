"""Addresses of remote images: what of a URL names the image, and what grants access to it."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Final

from imgcluster.fileio.object_store import BUCKETS

__all__ = ["Address"]

_URL: Final = re.compile(r"(\w+://)([^/?#]*)([^?#]*)\??([^#]*).*", re.DOTALL)
# Names of parameters in signed URLs of S3, Google, CloudFront and Alibaba, and usual names of secrets.
_SECRET: Final = re.compile(
    r"x-(amz|goog|oss)-(algorithm|content-sha256|credential|date|expires|security-token|signature|signedheaders"
    r"|signature-version|additional-headers)"
    r"|(aws|oss)accesskeyid|googleaccessid|key-pair-id|sig|expires|jwt|auth|(access|secret|api)[-_]?key"
    r"|(.+[-_]|access|auth|session|refresh|client)?(token|signature|secret|credential|password|passwd)"
)
# Those of Azure and CloudFront that are too short or common to be recognized without their signature.
_BESIDE_SIGNATURE: Final = re.compile(
    r"s[eiprtsv]|spr|srt|sip|sdd|ses|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid|policy|hash-algorithm"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in object storage or of a web server, valid or not.

    Attributes:
        public: The URL without password, parameters that grant access, and fragment.
        secrets: The parameters that grant access, as NAME=VALUE.
        has_password: Whether the URL contains a user name or password.
    """

    public: str
    secrets: tuple[str, ...]
    has_password: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the address that a URL of `url_of` is."""
        match = _URL.fullmatch(url)
        assert match is not None
        scheme, given, path, query = match.groups()
        _, at, host = given.rpartition("@")
        if scheme.removesuffix("://") in BUCKETS:
            # A key may contain any character.
            return cls((scheme + host + url[match.end(2) :]).rstrip("/"), (), at != "")
        pairs = [pair for pair in query.split("&") if pair]
        names = list(map(_name, pairs))
        is_signed = "sig" in names or "signature" in names
        hidden = [bool(_SECRET.fullmatch(name) or (is_signed and _BESIDE_SIGNATURE.fullmatch(name))) for name in names]
        kept = "&".join(pair for pair, is_hidden in zip(pairs, hidden, strict=True) if not is_hidden)
        secrets = tuple(pair for pair, is_hidden in zip(pairs, hidden, strict=True) if is_hidden)
        return cls(f"{scheme}{host}{path}" + (f"?{kept}" if kept else ""), secrets, at != "")


def _name(pair: str) -> str:
    return urllib.parse.unquote(pair.partition("=")[0]).lower()
