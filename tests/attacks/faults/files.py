"""Files that are missing, cut short, or something else altogether.

"Served" faults are made on the wire alone; the others are vouched for by the
files above, as if the publisher had made them.
"""

from attacks import tuf
from attacks.faults import (
    EMPTY,
    NESTED,
    NO_TRUST_DATA,
    RELEASES,
    ROOT_NOT_TRUSTED,
    TAMPERED,
    TRUSTED,
    each_role,
    names_of,
)

HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"


def each_file(name, expect=TAMPERED):
    """Registers a change of every role's bytes that the referring file vouches for."""

    def register(change):
        @each_role(name, expect, cache=(EMPTY,))
        def _(scene, role):
            role.on_bytes.append(change)

    return register


def each_served(name, expect=TAMPERED, **options):
    """Registers a change of every role's bytes on the wire."""

    def register(change):
        @each_role(f"served {name}", expect, **options)
        def _(scene, role):
            def hook(files):
                for wire_name in names_of(files, role.name):
                    files[wire_name] = change(files[wire_name])

            scene.repo.on_wire.append(hook)

    return register


each_file("file empty")(lambda data: b"")
each_file("file cut short")(lambda data: data[: len(data) // 2])
each_file("file without its last byte")(lambda data: data[:-1])
each_file("file an HTML page")(lambda data: HTML)
each_file("file not JSON")(lambda data: b"\x00\x01\x02" * 50)
each_file("file null")(lambda data: b"null")
each_file("file an empty object")(lambda data: b"{}")
each_file("file an empty list")(lambda data: b"[]")
each_file("file a number")(lambda data: b"1")
each_file("file with trailing data")(lambda data: data + b"{}")
each_file("file twice")(lambda data: data + data)
each_file("file with a trailing comma")(lambda data: data[:-1] + b",}")
each_file("file with a trailing NUL")(lambda data: data + b"\0")
each_file("file with a byte order mark")(lambda data: b"\xef\xbb\xbf" + data)
each_file("file in UTF-16")(lambda data: data.decode().encode("utf-16"))
each_file("file with a trailing line feed", TRUSTED)(lambda data: data + b"\n")
each_file("file in white space", TRUSTED)(lambda data: b" \r\n\t" + data + b" \r\n\t")

each_served("empty")(lambda data: b"")
each_served("cut short")(lambda data: data[: len(data) // 2])
each_served("an HTML page")(lambda data: HTML)
each_served("not JSON")(lambda data: b"\x00\x01\x02" * 50)
each_served("with one bit changed in the payload", root=ROOT_NOT_TRUSTED, filled={"root": TAMPERED})(
    lambda data: data.replace(b"expires", b"exqires", 1)
)
each_served("with another version", root=ROOT_NOT_TRUSTED, filled={"root": TAMPERED})(
    lambda data: data.replace(b'"version":', b'"version":1', 1)
)
each_served("with white space added", timestamp=TRUSTED)(lambda data: data.replace(b",", b" ,", 1))


@each_role(
    "served not at all",
    roles=("root", "snapshot", "targets", RELEASES, NESTED),
    root=NO_TRUST_DATA,
    filled={"root": TAMPERED},
)
def _(scene, role):
    def hook(files):
        for wire_name in names_of(files, role.name):
            del files[wire_name]

    scene.repo.on_wire.append(hook)


@each_role("served under its plain name only", roles=("snapshot", "targets", RELEASES))
def _(scene, role):
    scene.repo.on_wire.append(lambda files: files.pop(tuf.hashed_name(files, role.name)))
