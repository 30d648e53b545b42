"""What counts as a URI: the examples of RFC 3986, and another validator's opinion."""

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.uri import is_uri, is_uri_reference

PIECES = [*"abz19:/?#[]@%.!+ -é\n\\|", "http", "urn", "//", "%2F", "%2", "v1.", "[::1]"]


@pytest.mark.parametrize(
    "text",
    [
        "ftp://ftp.example.com/rfc/rfc1808.txt",
        "http://www.example.com/rfc/rfc2396.txt",
        "ldap://[2001:db8::7]/c=GB?objectClass?one",
        "mailto:John.Doe@example.com",
        "news:comp.infosystems.www.servers.unix",
        "tel:+1-816-555-1212",
        "telnet://192.0.2.16:80/",
        "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
    ],
)
def test_examples_of_the_standard_are_uris(text: str) -> None:
    assert is_uri(text)
    assert is_uri_reference(text)


@pytest.mark.parametrize(("text", "reference"), [("/shops/7", True), ("../a?b#c", True), ("", True), ("a b", False)])
def test_what_has_no_scheme_is_a_reference_at_most(text: str, reference: bool) -> None:
    assert not is_uri(text)
    assert is_uri_reference(text) is reference


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_another_validator_says_the_same(text: str) -> None:
    for form, ours in (("uri", is_uri), ("uri-reference", is_uri_reference)):
        schema = {"type": "string", "format": form}
        assert ours(text) is jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(text), form


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["a" * 10**6, "//" + "a:" * 10**6, "/" * 10**6, "a://" + "%20" * 10**6, "@" * 10**6])
def test_long_input_takes_no_longer_than_its_length(text: str) -> None:
    assert not is_uri_reference(text + "|")
