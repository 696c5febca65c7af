"""The line index of a TOML text, against tomllib's tree and against the text itself."""

import tomllib
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.toml_text import KeyPath, NotToml, parse

AWKWARD = """\
# [no.table] = here
top = "a # b ]" # c
dotted.one.two = 1
dotted.three = '''
[not]
a = "table" '''
"quoted \\"=\\" key" = [ # comment ]
  "[x]", # y = 1
  { inner = 1, "more" = [2] },
]
'single [key]'.x = \"\"\"one "quote" \\\"\"\" [still] text\"\"\"

[ table . "sub table" ]
key=1
[[array]]
a = 1979-05-27 07:32:00
[array.options]
b = -1.5e+3
[[array]]
[array.options]
b = 2
[[array.inner]]
c = 1
[[array.inner]]
c = {}
"""


def leaves(tree: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key of a tree, tables too, except within arrays of values and inline tables."""
    if path:
        yield path
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            if isinstance(value, Mapping):
                yield from leaves(value, (*path, place))


def test_awkward_text() -> None:
    text = parse(AWKWARD)
    assert text.tree == tomllib.loads(AWKWARD)
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("dotted", "one", "two"): 3,
        ("dotted",): 3,
        ("dotted", "three"): 4,
        ('quoted "=" key',): 7,
        ('quoted "=" key', 1, "inner"): 7,
        ("single [key]", "x"): 11,
        ("table", "sub table", "key"): 14,
        ("array",): 15,
        ("array", 0): 15,
        ("array", 0, "options", "b"): 18,
        ("array", 1): 19,
        ("array", 1, "options", "b"): 21,
        ("array", 1, "inner", 0, "c"): 23,
        ("array", 1, "inner", 1, "c"): 25,
        ("array", 1, "missing"): 19,
    }
    assert {path: text.line_of(path) for path in expected} == expected
    assert text.line_of(("missing", "key")) is None


def test_windows_line_ends_count_once() -> None:
    assert parse("a = 1\r\nb = '''\r\n'''\r\nc = 1\r\n").line_of(("c",)) == 4


KEYS = st.sampled_from(["a", "b", "key-1", '"q = ["', "'#'", "b.c", 'x . "y"'])
VALUES = st.sampled_from(
    ["1", '"]"', "[\n1, # ]\n2]", "'''\n[t]\n'''", '"""\na = 1\n\\"""\n"""', "{ z = [1] }", "1.5"]
)
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("[{}]".format, KEYS),
    st.builds("[[{}]]".format, KEYS),
    st.sampled_from(["", "# a = 1", "  # [x]"]),
)


@given(st.lists(LINES, max_size=12))
@settings(max_examples=300, deadline=None)
@example(["[[b.c]]", "a = 1", "[[b.c]]", "a = 2"])
def test_every_key_stands_in_its_line(lines: list[str]) -> None:
    source = "\n".join(lines)
    try:
        text = parse(source)
    except NotToml:
        return
    rows = source.split("\n")
    for path in leaves(text.tree):
        if "z" in path:
            continue
        assert path in text.lines, path
        last = next(str(part) for part in reversed(path) if isinstance(part, str))
        row = rows[text.lines[path] - 1]
        assert last in row and row.lstrip()[0] != "#"


@pytest.mark.parametrize(
    ("source", "line", "remedy"),
    [
        ("a = 1\nb =\n", 2, None),
        ("a = 1\nb = [1,\n", 2, None),
        ("a = 1\r\nb = ”x”\r\n", 2, "half-width"),
        ('a = "C:\\x"\n', 1, "single quotes"),
        ("a = 1\na = 2\n", 2, "twice"),
        (f"a = {'[' * 5000}", None, None),
        (f"a = {'9' * 5000}", None, None),
    ],
)
def test_what_is_no_toml_says_where(source: str, line: int | None, remedy: str | None) -> None:
    with pytest.raises(NotToml) as caught:
        parse(source)
    assert caught.value.line == line
    assert (remedy or "") in (caught.value.remedy or "")


@given(st.text(alphabet="a=[]{}\"'#.\n\\ 1,", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_says_why(source: str) -> None:
    try:
        text = parse(source)
    except NotToml as error:
        assert error.message
    else:
        assert all(1 <= line <= source.count("\n") + 1 for line in text.lines.values())
