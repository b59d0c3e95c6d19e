"""Where Tornado's own server (6.6.1) differs, and why: reason -> the cases, by pattern.

Cases not named here are the same on both, except for the form of a refusal: Tornado's is always bare.
"""

from fnmatch import fnmatchcase

_DIFFERS = {
    "a body over the limit is a 400": """
        body/over-limit chunk/over-limit* length/large-* 1.0/too-large method/head-too-large
        pipeline/then-large""",
    "knows no chunk extensions": "chunk/ext-*",
    "knows no trailers": """
        chunk/trailer-[18s]* chunk/trailer-e* chunk/trailer-h* chunk/trailer-one chunk/trailer-two-hosts
        chunk/trailer-length chunk/trailer-co*
        chunk/cut-trailer pipeline/*trailer* pipeline/mixed""",
    "a Host with the zone of an address is refused": "host/ipv6-zone",
    "between brackets `v` may stand for an address": "host/bad-ip-future-*",
    "a chunk's size may have up to 62 digits": "chunk/size-17-digits smuggle/chunk-zero-prefix-overflow",
    "closes without a word when a size line is longer than 64 bytes": """
        chunk/size-100-digits chunk/size-ext-257 chunk/size-ext-64k chunk/size-ext-blanks-257""",
    "refuses a chunk by its size, before it is sent": "chunk/cut-huge*",
    "knows `close` and `keep-alive` alone, no lists": """
        connection/closes-list-* connection/closes-both* connection/closes-line-* connection/closes-twice
        connection/closes-comma connection/closes-upgrade connection/1.0-stays-li* upgrade/h2c-close""",
    "a POST of HTTP/1.0 without a length is the last": "1.0/post-keep-alive-no-length",
    "equal lengths in a list or in several lines are one": """
        length/bad-list-equal length/bad-list-tight length/two-equal length/two-apart 1.0/length-two""",
    "a length may have any number of digits": "length/bad-65-digits",
    "two empty lines are an empty head": "empty/two empty/two-between empty/each empty/only-two",
    "any CR and LF before a request are skipped": """
        empty/lf empty/cr empty/cr-cr-lf empty/lf-cr empty/lf-between""",
    "a bare LF ends a line": """
        field/lf-in-value field/lf-end field/lf-lf line/lf-end line/lf-everywhere 1.0/lf
        smuggle/te-only-lf-before smuggle/cl-lf-before""",
    "CR CR LF ends a request line": "line/cr-doubled",
    "`100-continue` in lower case alone": "expect/upper",
    "100 Continue for a request without a body, too": "expect/none-no-body expect/none-zero",
    "100 Continue in HTTP/1.0, too": "expect/none-1.0*",
    "100 Continue before the body's framing is judged": """
        expect/too-large expect/bad-length expect/smuggling""",
    "several Content-Type fields are one value": "field/content-type-two field/content-type-equal",
    "colons and brackets may stand anywhere in a host": """
        host/bad-port-* host/bad-two-ports host/bad-ipv6-*""",
    "the target does not touch Host": "target/absolute-[!bns]* target/absolute-no-path 1.0/absolute",
    "a target is any visible bytes": """
        target/bad-* target/fragment* target/latin-1 target/utf-8 target/high target/c1 line/unicode-space
        1.0/target""",
    "CONNECT is a method like others": """
        target/connect-* method/connect-body method/connect-1.0 pipeline/then-connect""",
    "Transfer-Encoding in HTTP/1.0, too": "coding/1.0 coding/1.0-keep-alive",
    "another major version is a 400": """
        version/[0239].? version/2.0-preface 0.9/by-name pipeline/then-version upgrade/h2c-then-frames""",
    "1.2 to 1.9 are versions, and the last request's": "version/1.[29]",
    "the head is limited as a whole alone": """
        limit/line-one-more limit/line-20k limit/line-one-word limit/line-method limit/line-without-end
        limit/fields-* limit/field-[!c]* limit/field-cookie limit/host pipeline/then-fields
        chunk/trailer-huge-*""",
    "closes without a word when the head is over 64 KiB": """
        limit/line-64k limit/line-200k limit/head limit/head-[!u]*""",
}


def tornado_way(id: str) -> str:
    """ "same", or why not."""
    for reason, patterns in _DIFFERS.items():
        if any(fnmatchcase(id, pattern) for pattern in patterns.split()):
            return reason
    return "same"


def unused_patterns(ids: list[str]) -> list[str]:
    """Patterns that match no case."""
    every = [pattern for patterns in _DIFFERS.values() for pattern in patterns.split()]
    return [pattern for pattern in every if not any(fnmatchcase(id, pattern) for id in ids)]
