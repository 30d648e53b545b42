"""The delimiter is the character that splits the header into the named columns; frequencies play no part."""

import pytest

from events.exceptions import InvalidEvent
from events.formats.csv_dialect import Dialect, declared_delimiter, dialect_of


@pytest.mark.parametrize(
    ("sample", "dialect"),
    [
        # csv.Sniffer finds a comma, a comma, a space and a letter in these.
        (["a;b;c\n", "1;['112', '112'];['765', '766']\n"], Dialect(";")),
        (["a;b;1,5;2,5;3,5\n", "1;2;1,5;2,5;3,5\n"], Dialect(";")),
        (["a\tb\n", "one two\tthree four\n"], Dialect("\t")),
        (["a,b,rich-cli\n", "has tables,x,x\n", "easy to use,x,x,x\n"], Dialect(",")),
        (['"a";"b";"c;,d"\n'], Dialect(";")),
        (['"x\n', 'y",a,b\n', "1, 2, 3\n"], Dialect(",", True)),
        (["b, a\n", "1,2\n"], Dialect(",", True)),
        (["a,b\n", '1, "2, 3"\n', '1, "2,3"\n'], Dialect(",", True)),
        (["a,b\n", '1,"2, 3"\n'], Dialect(",", False)),
        (["a,b\n", "1, 2\n", "1,2\n"], Dialect(",", False)),
        (["a,b\n"], Dialect(",", False)),
    ],
)
def test_dialect_follows_from_the_named_columns(sample: list[str], dialect: Dialect) -> None:
    assert dialect_of(sample, ["a", "b"]) == dialect


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (["c;b\n"], "'a' is not in the header, which has: c, b. .* pass --delimiter"),
        (["a ;b\n"], "'a' is not in the header, which has: 'a ', b"),
        (['"a"b,c\n'], "header: is not CSV"),
        ([], "'a' is not in the header, which has: none"),
    ],
)
def test_header_without_the_columns_is_an_error(sample: list[str], message: str) -> None:
    with pytest.raises(InvalidEvent, match=message):
        dialect_of(sample, ["a", "b"])


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("sep=;\r\n", ";"),
        ('"sep=|"', "|"),
        ("sep=\t\n", "\t"),
        ("SEP=;;;\n", ";"),
        ("sep=\r\n", None),
        ("sep=\n", None),
        ("sep=ab\n", None),
        ("a;b", None),
    ],
)
def test_first_line_can_declare_the_delimiter(line: str, delimiter: str | None) -> None:
    assert declared_delimiter(line) == delimiter
