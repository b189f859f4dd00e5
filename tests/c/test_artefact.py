"""What the C library must not contain."""

import pytest

from interop.verifiers import BUILD, ROOT
from lab.need import need


@pytest.mark.parametrize(
    "library",
    [BUILD / "libtagtrust.so", BUILD / "libtagtrust.a", ROOT / "python/tagtrust/_tagtrust.abi3.so"],
    ids=lambda path: path.name,
)
def test_the_library_has_none_of_the_panics_that_tests_ask_for(library):
    need(library.exists(), "what `make build` builds")
    content = library.read_bytes()
    # A string beside it, so that the search is known to find some.
    assert b"the trust data is that of" in content
    assert b"tagtrust-test-panic" not in content
    assert b"a test asked for this panic" not in content
