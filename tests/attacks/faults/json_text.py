"""JSON that can be read in two ways, and JSON that only looks unusual.

All changes are made to the text of a file that is vouched for by the files
above, and keep what Notary takes to be the signed payload.
"""

import json
import re

from attacks import tuf
from attacks.faults import EMPTY, RELEASES, TAMPERED, TEXT_ROLES, TRUSTED, each_role, replaced
from attacks.faults.reasons import CASE, NESTING, NUMBER, TEXT, TWICE


def each_payload(name, expect=TAMPERED, differs=None):
    """Registers a function of the role's object, for some roles."""

    def register(change):
        @each_role(name, expect, roles=TEXT_ROLES, cache=(EMPTY,), differs=differs)
        def _(scene, role):
            change(role)

    return register


def each_file(name, expect=TAMPERED, differs=None):
    """Registers a function of the file's bytes, for some roles."""

    def register(change):
        @each_payload(name, expect, differs)
        def _(role):
            role.on_bytes.append(change)

    return register


def each_comment(name, raw, read_as, expect=TAMPERED, differs=None):
    """Registers a payload with a member that stands in the file as `raw`."""

    @each_payload(name, expect, differs)
    def _(role):
        role.signed["comment"] = read_as
        as_signed = b'"comment":' + tuf.html_escaped(tuf.canonical(read_as))
        role.on_bytes.append(replaced(as_signed, b'"comment":' + raw))


# Members that stand twice

FORGED = b'{"forged":true}'

each_file("payload twice, first a forged one", differs=TWICE)(
    replaced(b'{"signed":', b'{"signed":%b,"signed":' % FORGED)
)
each_file("payload twice, then a forged one")(replaced(b',"signatures":', b',"signed":%b,"signatures":' % FORGED))
each_file("signatures twice, first none", differs=TWICE)(replaced(b',"signatures":', b',"signatures":[],"signatures":'))
each_file("type twice", differs=TWICE)(replaced(b'{"_type":', b'{"_type":"Other","_type":'))
each_file("method twice", differs=TWICE)(replaced(b'"method":', b'"method":"none","method":'))
each_file("key ID twice in a signature", differs=TWICE)(replaced(b'"keyid":', b'"keyid":"none","keyid":'))
each_file("expiry twice, once escaped", differs=TWICE)(
    replaced(b'"expires":', b'"e\\u0078pires":"1970-01-01T00:00:00Z","expires":')
)


def version_of(data):
    return re.search(rb'"version":\d+', data).group()


@each_file("version twice, first a huge one", differs=TWICE)
def _(data):
    return replaced(version_of(data), b'"version":4000,' + version_of(data))(data)


@each_file("version twice, then a huge one")
def _(data):
    return replaced(version_of(data), version_of(data) + b',"version":4000')(data)


MAPS = {"root": b"keys", "snapshot": b"meta", "timestamp": b"meta"}


@each_payload("a name twice in its map", differs=TWICE)
def _(role):
    """In the key list, `meta` or `targets`, whichever the role has."""
    start = rb'("%b":\{)("[^"]+":)' % MAPS.get(role.name, b"targets")
    role.on_bytes.append(lambda data: re.sub(start, rb"\1\2{},\2", data, count=1))


@each_role("a hash twice", roles=("timestamp", "snapshot", RELEASES), cache=(EMPTY,), differs=TWICE)
def _(scene, role):
    role.on_bytes.append(replaced(b'"sha256":', b'"sha256":"AAAA","sha256":'))


# Names in another case

each_file("payload member in upper case", differs=CASE)(replaced(b'{"signed":', b'{"SIGNED":'))
each_file("payload member in title case", differs=CASE)(replaced(b'{"signed":', b'{"Signed":'))
each_file("payload member with a long s", differs=CASE)(replaced(b'{"signed":', '{"\u017figned":'.encode()))
each_file("signatures member in upper case", differs=CASE)(replaced(b'"signatures":', b'"SIGNATURES":'))
each_file("key ID member in camel case", differs=CASE)(replaced(b'"keyid":', b'"keyID":'))
each_file("a second payload in upper case, behind")(replaced(b',"signatures":', b',"SIGNED":%b,"signatures":' % FORGED))
each_file("a second payload in upper case, before", differs=TWICE)(
    replaced(b'{"signed":', b'{"SIGNED":%b,"signed":' % FORGED)
)
each_file("a second list of signatures in upper case", differs=TWICE)(
    replaced(b',"signatures":', b',"SIGNATURES":[],"signatures":')
)


def each_renamed(old, new):
    """Registers a payload whose member has a name that only Go takes for the right one."""

    @each_payload(f"member {old} as {new}", differs=CASE)
    def _(role):
        role.signed[new] = role.signed.pop(old)


each_renamed("_type", "_TYPE")
each_renamed("version", "Version")
each_renamed("expires", "EXPIRES")


def each_variant(name, value, differs=TWICE):
    """Registers a payload with a second member that Go takes for the first one."""

    @each_payload(f"member {name} beside {name.lower()}", differs=differs)
    def _(role):
        role.signed[name] = value


each_variant("Version", 4000)
each_variant("VERSION", 1)
each_variant("Expires", "2099-01-01T00:00:00Z")


def main_map(signed):
    return next(member for member in ("roles", "meta", "targets") if member in signed)


@each_payload("an empty map in upper case, before the right one", differs=TWICE)
def _(role):
    """`ROLES`, `META` or `TARGETS`, signed as well: canonical order puts it first."""
    role.signed[main_map(role.signed).upper()] = {}


@each_payload("an empty map in upper case, behind the right one", differs=TWICE)
def _(role):
    """The signature is over the canonical order, Go's last word is the file's."""
    member = main_map(role.signed)
    role.signed[member.upper()] = {}
    role.on_bytes.append(lambda data: with_last(data, member.upper()))


def with_last(data, member):
    tree = json.loads(data)
    tree["signed"][member] = tree["signed"].pop(member)
    return compact(tree)


def compact(tree):
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()


# Text

each_comment("text with invalid UTF-8", b'"\xff"', "\ufffd", differs=TEXT)
each_comment("text with overlong UTF-8", b'"\xc0\xaf"', "\ufffd\ufffd", differs=TEXT)
each_comment("text with a surrogate in UTF-8", b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd", differs=TEXT)
each_comment("text with a lone high surrogate", b'"\\ud800"', "\ufffd", differs=TEXT)
each_comment("text with a lone low surrogate", b'"\\udc00x"', "\ufffdx", differs=TEXT)
each_comment("text with surrogates in the wrong order", b'"\\udc00\\ud800"', "\ufffd\ufffd", differs=TEXT)
each_comment("text with an unknown escape", b'"\\x41"', "A")
each_comment("text with a short escape", b'"\\u41"', "A")
each_comment("text with a raw line feed", b'"\n"', "\n")
each_comment("text with a raw NUL", b'"\0"', "\0")
each_comment("text in single quotes", b"'a'", "a")
each_comment("text with needless escapes", b'"\\u0041\\/\\b\\f\\n\\r\\t"', "A/\b\f\n\r\t", TRUSTED)
each_comment("text with upper-case escapes", b'"\\u00E9\\uD83D\\uDE00"', "\u00e9\U0001f600", TRUSTED)
each_comment("text with HTML characters as they are", '"<&>\u2028"'.encode(), "<&>\u2028", TRUSTED)
each_comment("text with HTML characters escaped", b'"\\u003c\\u0026\\u003e\\u2028"', "<&>\u2028", TRUSTED)
each_comment("text with NUL and DEL", b'"\\u0000\x7f"', "\0\x7f", TRUSTED)
each_comment("text with a replacement character", '"\ufffd"'.encode(), "\ufffd", TRUSTED)
each_comment("text with a non-character", '"\uffff"'.encode(), "\uffff", TRUSTED)

# Numbers

each_comment("number with a fraction of zero", b"1.0", 1, differs=NUMBER)
each_comment("number with an exponent", b"1e3", 1000, differs=NUMBER)
each_comment("number with a negative exponent", b"1000e-3", 1, differs=NUMBER)
each_comment("number minus zero", b"-0", 0, differs=NUMBER)
each_comment("number above 2^53", b"9007199254740993", 2**53, differs=NUMBER)
each_comment("number above 2^63", b"9223372036854775808", -(2**63), differs=NUMBER)
each_comment("number above a double", b"1e999", 0)
each_comment("number with a plus sign", b"+1", 1)
each_comment("number with a leading zero", b"01", 1)
each_comment("number without an integer part", b".5", 0)
each_comment("number in hex", b"0x10", 16)
each_comment("number that is none", b"NaN", 0)
each_comment("number 2^53", b"9007199254740992", 2**53, TRUSTED)
each_comment("number -2^53", b"-9007199254740992", -(2**53), TRUSTED)

# Structure


def nested(levels):
    return b"[" * levels + b"]" * levels


each_comment("nesting of 20 levels", nested(20), nested(20), TRUSTED)
each_comment("nesting of 65 levels", nested(65), nested(65), differs=NESTING)
each_comment("nesting of 9,000 levels", nested(9000), nested(9000), differs=NESTING)
each_comment("a comment", b"1/**/", 1)


@each_file("white space everywhere", TRUSTED)
def _(data):
    return json.dumps(json.loads(data), indent="\t", separators=(" ,\r\n", " : ")).encode()


@each_file("members in reverse order", TRUSTED)
def _(data):
    return compact(reversed_members(json.loads(data)))


def reversed_members(tree):
    if isinstance(tree, dict):
        return {name: reversed_members(tree[name]) for name in reversed(tree)}
    if isinstance(tree, list):
        return [reversed_members(element) for element in tree]
    return tree


@each_file("every letter of the member names escaped", TRUSTED)
def _(data):
    def escaped(match):
        return b'"%b":' % b"".join(b"\\u%04x" % letter for letter in match[1])

    return re.sub(rb'"([a-z_]+)":', escaped, data)


@each_file("unknown members around the payload", TRUSTED)
def _(data):
    return b'{"comment":"x","a":[{}],' + data[1:]


@each_payload("names that sort differently in UTF-16", TRUSTED)
def _(role):
    role.signed.update({"\U0001f600": 1, "\uffff": 2, "\u00e9": 3})
