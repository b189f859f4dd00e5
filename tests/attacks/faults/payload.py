"""The common members of a payload: type, version, expiry. All of it well signed."""

from attacks import tuf
from attacks.faults import EMPTY, EXPIRED, NESTED, TAMPERED, TEXT_ROLES, TRUSTED, each_role, replaced
from attacks.faults.reasons import FORM, NUMBER, TIME

# A delegation that has expired is left out; the tag is only in the one that Docker reads.
PAST = {"expect": EXPIRED, "nightly": TRUSTED}


def each_value(member, value, expect=TAMPERED, name=None, **options):
    """Registers a value for a member of the payload, for every role."""

    @each_role(f"{member} {name or value}", expect, **options)
    def _(scene, role):
        role.signed[member] = value


def each_absence(member, expect=TAMPERED, **options):
    @each_role(f"{member} absent", expect, **options)
    def _(scene, role):
        del role.signed[member]


# Type

OTHER_TYPE = {"Root": "Targets", "Targets": "Snapshot", "Snapshot": "Timestamp", "Timestamp": "Root"}


@each_role("_type of another role")
def _(scene, role):
    role.signed["_type"] = OTHER_TYPE[role.signed["_type"]]


@each_role("_type in lower case")
def _(scene, role):
    role.signed["_type"] = role.signed["_type"].lower()


each_absence("_type")
each_value("_type", None, name="null", cache=(EMPTY,))
each_value("_type", 1, name="a number", cache=(EMPTY,))
each_value("_type", "", name="empty", cache=(EMPTY,))

# Version

each_absence("version")
each_value("version", 0)
each_value("version", -1)
each_value("version", None, name="null", cache=(EMPTY,))
each_value("version", "7", name="a string", cache=(EMPTY,))
each_value("version", True, name="true", cache=(EMPTY,))
each_value("version", [7], name="a list", cache=(EMPTY,))
each_value("version", 1.5, cache=(EMPTY,))
each_value("version", 2**53, TRUSTED, name="2^53")
each_value("version", 2**53 + 1, name="2^53 + 1", differs={NESTED: FORM})
each_value("version", 2**63, name="2^63", cache=(EMPTY,))
each_value("version", 2**64 + 7, name="2^64 + 7", cache=(EMPTY,))


@each_role("version 2^53 + 1, signed as a double rounds it", differs=NUMBER)
def _(scene, role):
    """What is signed and what is read are two versions."""
    role.signed["version"] = 2**53
    role.on_bytes.append(replaced(b"%d" % 2**53, b"%d" % (2**53 + 1)))


@each_role("version with a fraction of zero", cache=(EMPTY,))
def _(scene, role):
    role.on_bytes.append(replaced(b'"version":%d' % role.signed["version"], b'"version":%d.0' % role.signed["version"]))


@each_role("version with an exponent", cache=(EMPTY,))
def _(scene, role):
    role.on_bytes.append(replaced(b'"version":%d' % role.signed["version"], b'"version":%de0' % role.signed["version"]))


# Expiry

yesterday = tuf.rfc3339(tuf.NOW - tuf.DAY)
in_a_year = tuf.rfc3339(tuf.NOW + 365 * tuf.DAY)

each_value("expires", yesterday, **PAST, name="yesterday")
each_value("expires", "1970-01-01T00:00:00Z", **PAST)
each_value("expires", "0001-01-01T00:00:00Z", **PAST)
each_absence("expires", **PAST)
each_value("expires", None, **PAST, name="null")


def each_form(name, expires, expect=TAMPERED, differs=None):
    """Registers a way to write the expiry."""

    @each_role(f"expires {name}", expect, roles=TEXT_ROLES, cache=(EMPTY,), differs=differs)
    def _(scene, role):
        role.signed["expires"] = expires


each_form("empty", "")
each_form("never", "never")
each_form("a number", 4102444800)
each_form("a date without a time", in_a_year[:10])
each_form("without a zone", in_a_year[:-1])
each_form("with a lower-case z", in_a_year[:-1] + "z")
each_form("with a lower-case t", in_a_year.replace("T", "t"))
each_form("with a space for T", in_a_year.replace("T", " "))
each_form("with half a zone", in_a_year[:-1] + "+01")
each_form("with a zone without colon", in_a_year[:-1] + "+0100")
each_form("on 30 February", "2099-02-30T00:00:00Z")
each_form("at 24 o'clock", "2099-01-01T24:00:00Z")
each_form("in a leap second", "2099-12-31T23:59:60Z")
each_form("in a year of five digits", "12099-01-01T00:00:00Z")
each_form("after a space", " " + in_a_year)
each_form("before a line feed", in_a_year + "\n")
each_form("with an offset of a day", in_a_year[:-1] + "+24:00", differs=TIME)
each_form("with a comma fraction", in_a_year[:-1] + ",5Z", differs=TIME)
each_form("with nine digits", in_a_year[:-1] + ".123456789Z", TRUSTED)
each_form("with ten digits", in_a_year[:-1] + ".1234567891Z", TRUSTED)
each_form("with an offset", in_a_year[:-1] + "-05:00", TRUSTED)
each_form("with the largest offset", in_a_year[:-1] + "+23:59", TRUSTED)
each_form("at the end of time", "9999-12-31T23:59:59Z", TRUSTED)


@each_role("expired behind its offset", **PAST)
def _(scene, role):
    """By its digits it has hours left; in UTC it is past."""
    soon = tuf.NOW + tuf.DAY / 4
    role.signed["expires"] = tuf.rfc3339(soon)[:-1] + "+12:00"


def each_payload(name, change):
    @each_role(f"payload {name}")
    def _(scene, role):
        role.on_signed.append(change)


each_payload("null", lambda signed: None)
each_payload("empty", lambda signed: {})
each_payload("in a list", lambda signed: [signed])
each_payload("in a string", lambda signed: tuf.canonical(signed).decode())


@each_role("an unknown member in the payload", TRUSTED)
def _(scene, role):
    role.signed["x-comment"] = {"a": [1, None, "<&>"]}


@each_role("an unknown member with a fraction")
def _(scene, role):
    role.signed["x-comment"] = 1.5
