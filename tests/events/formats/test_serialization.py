"""JSON from outside is read quickly where that loses nothing, and otherwise as the standard library reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.formats.serialization import from_json

CAREFUL = json.JSONDecoder()
TEXTS = st.text(st.sampled_from('ab "\\,:{}\u00e9'), max_size=4)
NUMBERS = st.integers() | st.integers(2**63, 2**70) | st.floats(allow_nan=False, allow_infinity=False)


VALUES = st.recursive(
    TEXTS | NUMBERS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    VALUES,
    st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", " : ")]),
    st.booleans(),
    st.sampled_from(["", "\n", " "]),
)
def test_json_is_read_as_the_standard_library_reads_it(
    value: Any, separators: tuple[str, str], ascii_only: bool, end: str
) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only) + end
    assert repr(from_json(text)) == repr(CAREFUL.decode(text))  # 1 and 1.0 are equal


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), st.sampled_from(["", " ", "  "]), st.booleans())
def test_duplicate_name_is_rejected_at_any_depth(value: dict[str, Any], space: str, is_nested: bool) -> None:
    name, inner = next(iter(value.items()))
    again = f"{space}{json.dumps(name, ensure_ascii=False)}:{space}{json.dumps(inner, ensure_ascii=False)}"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:-1] + f",{again}{space}}}"
    with pytest.raises(ValueError, match="occurs twice in one object"):
        from_json(f'[{{"a":{text}}}]' if is_nested else text)


def test_first_name_that_is_there_twice_is_named() -> None:
    names = [f'"n{n}": 1' for n in range(20_000)]
    with pytest.raises(ValueError, match="'n19999' occurs twice"):
        from_json("{" + ", ".join([*names, names[-1]]) + "}")
    with pytest.raises(ValueError, match="'b' occurs twice"):
        from_json('{"a": 1, "b": 1, "c": 1, "c": 1, "c": 1, "b": 1}')


@pytest.mark.parametrize("text", ["NaN", "[1e400, NaN]", "{", "", '{"a": 1,}', "[1 2]", "'a'"])
def test_invalid_json_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # in the words of the standard library
        from_json(text)
