import pytest

from c.programs import COMPILERS, SHARED, build


@pytest.fixture(params=COMPILERS)
def compile(request, tmp_path):
    """Call it with a source and a way to link, and it gives the program."""
    return lambda source, link=SHARED, options=(): build(
        source, tmp_path / source.stem, request.param, link, options
    )
