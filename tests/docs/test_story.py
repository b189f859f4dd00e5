"""A page that says what is not so does not pass."""

import re

import pytest

from docs.story import Story

GOOD = """
```sh
name=world
```

```sh greeting
echo "hello $1"
```

```console
$ sh greeting $name
hello world
$ (echo "much more"
> false)
much ...
$ echo $?
1
```

```python
print("one\\ntwo")
```

```text
one
...
```

```json
{"a": [1]}
```
"""


def tell(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return Story(tmp_path, {}).tell(str(page))


def test_what_is_so_passes(tmp_path):
    printed = tell(tmp_path, GOOD)
    assert printed["sh greeting $name"] == "hello world\n"
    assert printed['print("one\\ntwo")\n'] == "one\ntwo\n"


@pytest.mark.parametrize(
    ("true", "false", "complaint"),
    [
        ("hello world", "hello moon", "not\nhello moon"),
        ("$ echo $?\n1\n", "", "exit 1"),
        ("one\n...", "two\n...", "not\ntwo"),
        ("```json", "    $ true\n\n```json", "nothing runs ''"),
        ("```json", "```c\nint x;\n```\n\n```json", "a program without main"),
        ("[1]", "[1", "Expecting"),
        ("```json", "```jsonc", "nothing runs 'jsonc'"),
        ("sh greeting $name", "echo hello world", "nothing uses greeting"),
        ("name=world", "false\nname=world", "ended the shell"),
    ],
)
def test_what_is_not_so_does_not(tmp_path, true, false, complaint):
    assert true in GOOD
    with pytest.raises((AssertionError, ValueError), match=re.escape(complaint)):
        tell(tmp_path, GOOD.replace(true, false))
