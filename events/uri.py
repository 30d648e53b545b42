"""The grammar of URIs (RFC 3986, appendix A), for the sources and schemas of CloudEvents."""

import re

_CHAR = r"[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2}"
_PATH_CHAR = rf"{_CHAR}|[:@]"
_HOST = rf"\[(?:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*|[vV][0-9A-Fa-f]+\.(?:[A-Za-z0-9\-._~!$&'()*+,;=:])+)\]|(?:{_CHAR})*"
_AUTHORITY = rf"//(?:(?:{_CHAR}|:)*@)?(?:{_HOST})(?::[0-9]*)?"
_SEGMENTS = rf"(?:/(?:{_PATH_CHAR})*)*"
_TAIL = rf"(?:\?(?:{_PATH_CHAR}|[/?])*)?(?:#(?:{_PATH_CHAR}|[/?])*)?"
# A path without a host must not begin with two slashes; without a scheme, its first segment has no colon.
_URI = rf"[A-Za-z][A-Za-z0-9+.\-]*:(?:{_AUTHORITY}{_SEGMENTS}|(?!//)(?:{_PATH_CHAR}|/)*){_TAIL}"
_RELATIVE = rf"(?:{_AUTHORITY}{_SEGMENTS}|(?!//)(?:(?:{_CHAR}|@)*{_SEGMENTS})){_TAIL}"
_IS_URI = re.compile(_URI)
_IS_RELATIVE = re.compile(_RELATIVE)


def is_uri(text: str) -> bool:
    """Return whether `text` is a URI with a scheme, such as `https://example.com/a` or `urn:example:a`."""
    return bool(_IS_URI.fullmatch(text))


def is_uri_reference(text: str) -> bool:
    """Return whether `text` is a URI or a relative reference, such as `/shops/7`."""
    return is_uri(text) or bool(_IS_RELATIVE.fullmatch(text))
