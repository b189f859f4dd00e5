"""Why tagtrust decides otherwise than Notary: every difference has one of these reasons."""

TWICE = (
    "A member that stands twice, or beside one whose name differs only in case, has two readings. "
    "Notary takes one of them."
)
CASE = "Member names are read as they are written. Notary takes any case, and letters that fold to the same."
TEXT = "Invalid UTF-8 and lone surrogates are refused. Notary replaces them, then checks the signature."
NUMBER = "Only integers up to 2^53 are read. Notary reads numbers as floating point and rounds them."
NESTING = "JSON nested deeper than 64 levels is refused, to bound the memory. Notary reads 10,000 levels."
LIMITS = "Everything that a server or a publisher may send much of is bounded. Notary has no such limit, or a far higher one."
FORM = "A file of the wrong form is refused. Notary takes it for one that is badly signed, and does without it."
NEGATIVE = "A negative length is refused. Notary ignores it."
TIME = "Times are those of RFC 3339: no fraction after a comma, no offset of 24 hours."
BASE64 = "Line breaks in base64 are refused. Notary skips them."
PINS = "Pins that the caller gives always hold. Notary ignores them once a valid root is in the cache."
SERVER_SAID_NO = (
    "A server that answers 401, 403 or 404 has answered: the cache does not stand in for it. "
    "Notary uses its cached timestamp."
)
ODD_STATUS = "Only statuses that say `try again` (429, 5xx) count as out of reach. Notary uses its cached timestamp."
RELEASES_UNUSABLE = (
    "`targets/releases` exists and cannot be used: what it would say is unknown. Notary goes on to `targets`."
)
EXPIRED_LINK = (
    "A root in the middle of the chain only leads to a newer one: its certificate may have expired since, as its "
    "own expiry may. Notary refuses the first."
)
OLD_ROOT = "From a cached root that expired, the chain of roots is followed too, as TUF has it. Notary gives up."
OLD_CERTIFICATE = "The known root's certificate expired, and the new root is signed by it. Notary gives up."
BROKEN_OFF = "An answer that breaks off is a server out of reach, for which the cache stands in. Notary refuses."
PING = "The trust data decides, whatever the server answers to `/v2/`. Notary asks no further and uses its cache."
REDIRECT = (
    "Redirects to elsewhere and in a circle are answers, so the cache does not stand in for them. "
    "Notary uses its cached timestamp."
)
