"""Arguments of commands in messages."""

from __future__ import annotations

import shlex

import pytest

from imgcluster.wording import quoted_argument


@pytest.mark.parametrize("text", ["/photos/out", "my photos", "it's", "$HOME", ""])
def test_a_posix_shell_reads_the_argument(text: str) -> None:
    assert shlex.split(quoted_argument(text, windows=False)) == [text]


@pytest.mark.parametrize(
    ("text", "quoted"), [("C:\\photos\\out", "C:\\photos\\out"), ("C:\\my photos", '"C:\\my photos"'), ("a&b", '"a&b"')]
)
def test_windows_has_double_quotes(text: str, quoted: str) -> None:
    assert quoted_argument(text, windows=True) == quoted
