"""What git's words mean: each known failure as a class with one sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opssight.core.errors import (
    AuthFailure,
    BlockedByOrganization,
    Failure,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)


class Stopped(BaseException):
    """git was killed because its watch said so. Derives from BaseException: no handler may swallow it."""


class Stalled(TransientFailure):
    """No byte moved for the stall limit; git was killed."""


class DiskFull(TransientFailure):
    """The disk of the stores has no room."""


class StoreCorrupt(TransientFailure):
    """A store is damaged; the next fetch builds it again."""


class IncompleteFetch(TransientFailure):
    """The remote offered branches, but none arrived."""


class RefClash(TransientFailure):
    """A branch stands in the way of another one (`a` and `a/b`) or is being written right now."""


class Forbidden(PermanentFailure):
    """The server knows the credential, but does not let it do this."""


class Moved(NotFound):
    """The server answers with the address of another place; git does not follow it."""


class MissingObject(NotFound):
    """An object is not in the store."""


class TooLarge(PermanentFailure):
    """A file or repository is above the set limit."""


class ShallowSource(PermanentFailure):
    """The source has only a part of its history."""


class ForeignOwner(PermanentFailure):
    """The folder belongs to another user of this machine."""


DAMAGED = "The local copy of the repository is damaged. The next fetch builds it again."
MISSING = "A commit or file that is needed is not in the local store. It is fetched on the next try."


@dataclass(frozen=True)
class _Meaning:
    pattern: re.Pattern[str]
    error: type[Failure]
    sentence: str


def _row(pattern: str, error: type[Failure], sentence: str) -> _Meaning:
    return _Meaning(re.compile(pattern, re.IGNORECASE), error, sentence)


# The first match counts, so what is more precise stands higher.
_ANYWHERE = [
    _row(
        r"no space left on device|disk quota exceeded|ENOSPC",
        DiskFull,
        "The disk for git stores is full. Make room or raise OPSSIGHT_STORE_QUOTA; it is tried again.",
    ),
    _row(
        r"died of signal 25|file too large|SIGXFSZ|pack exceeds maximum allowed size",
        TooLarge,
        "{name} is larger than the limit for one file. Raise the limit, or leave this repository out.",
    ),
    _row(
        r"dubious ownership",
        ForeignOwner,
        "{name} belongs to another user of this machine. Add its folder to the allowed folders.",
    ),
]

_REMOTE = [
    _row(
        r"could not read (?:username|password) for|authentication failed for|error: 401\b"
        r"|permission denied \((?:publickey|password|keyboard)|http basic: access denied"
        r"|invalid username or (?:password|token)|load key .*(?:invalid format|error in libcrypto)",
        AuthFailure,
        "{name} refuses the credential. Enter a valid one for this connection.",
    ),
    _row(
        r"host key verification failed|no .* host key is known|remote host identification has changed",
        PermanentFailure,
        "The ssh host key of {name} is not the expected one. Check it with the server's owner, then update "
        "the known hosts of the connection.",
    ),
    _row(
        r"certificate (?:problem|verification failed|verify failed)|ssl: no alternative certificate",
        PermanentFailure,
        "The TLS certificate of {name} is not trusted. Fix it, or add its authority to this machine.",
    ),
    _row(
        r"unable to update url base from redirection|returned error: 30\d",
        Moved,
        "{name} has moved to another address. Look it up again or update its address.",
    ),
    _row(
        r"error: 429\b|too many requests",
        RateLimited,
        "{name} asks for fewer requests. It is tried again later.",
    ),
    _row(
        r"enabled or enforced SAML SSO|ip allow ?list|oauth app access restrictions",
        BlockedByOrganization,
        "The organization of {name} keeps this credential out by its rules (single sign-on, allowed "
        "addresses or applications). Authorize the credential there, or ask an owner of the organization.",
    ),
    _row(
        r"error: 403\b|access denied|not allowed to (?:push|upload|download)|write access .* not granted"
        r"|insufficient permission|marked as read.only",
        Forbidden,
        "The credential is not allowed to do this on {name}. Give it the right to read (a target: to write).",
    ),
    _row(
        r"error: (?:404|410)\b|repository .*not found|does not appear to be a git repository"
        r"|project you were looking for could not be found|is this a git repository\?"
        r"|no such file or directory|does not exist or you do not have permission",
        NotFound,
        "{name} is not there, or the credential may not see it. Check the address and the access.",
    ),
    _row(
        r"couldn't find remote ref|not our ref|remote ref .* not found",
        NotFound,
        "{name} does not have that branch, tag or commit any more. Look again.",
    ),
    _row(
        r"shallow roots are not allowed|source repository is shallow|shallow update not allowed"
        r"|attempt to fetch/clone from a shallow repository",
        ShallowSource,
        "{name} has only a part of its history (a shallow clone). Run git fetch --unshallow there.",
    ),
    _row(
        r"mismatched algorithms|unsupported object format|unknown object format",
        PermanentFailure,
        "{name} uses SHA-256 object names, which are not supported. Use one with SHA-1 object names.",
    ),
    _row(
        r"protocol '?\w*'? ?not allowed|transport '\w+' not allowed",
        PermanentFailure,
        "git may not use this protocol here. Use an address of the allowed kind.",
    ),
    _row(
        r"could not resolve (?:host|hostname|proxy)|name or service not known"
        r"|temporary failure in name resolution",
        TransientFailure,
        "The host of {name} cannot be found. Check the address; it is tried again.",
    ),
    _row(
        r"connection (?:refused|reset|timed out|closed)|failed to connect|couldn't connect|no route to host"
        r"|network is unreachable|operation timed out|operation too slow",
        TransientFailure,
        "{name} cannot be reached. It is tried again.",
    ),
    _row(
        r"error: 5\d\d\b|http 5\d\d|early eof|hung up unexpectedly|unexpected disconnect|rpc failed"
        r"|ssl_|gnutls|empty reply from server|transfer closed|bad pack header|invalid index-pack output",
        TransientFailure,
        "{name} broke the transfer off. It is tried again.",
    ),
    _row(
        r"cannot lock ref .*(?:exists; cannot create|is at .* but expected)|unable to create '.*\.lock'"
        r"|'.*' exists; cannot create|some local refs could not be updated",
        RefClash,
        "A branch or tag of {name} was in the way of another one. It is tried again.",
    ),
]

_LOCAL = [
    _row(
        r"unable to read|missing blob|bad object|not a valid object|does not exist|invalid object"
        r"|bad revision|no such (?:commit|path)|not a valid commit|is not a commit"
        r"|transport '\w+' not allowed|protocol '\w+' is not supported|not found: |object not found"
        r"|not a tree object|could not get object info|promisor|does not match any|ambiguous argument",
        MissingObject,
        MISSING,
    ),
]

_CORRUPT = re.compile(
    r"object .* is corrupt|is far too short to be a packfile|packfile .* (?:cannot be accessed|index)"
    r"|object file .* is empty|inflate: data stream error|unable to unpack|index file .* is too small"
    r"|does not point to a valid object|bad index file|(?:sha1|hash) mismatch|invalid sha1 pointer"
    r"|not a git repository: |wrong index|could not read .*/objects|fatal: bad config"
    r"|missing (?:commit|tree)",
    re.IGNORECASE,
)


def corrupt(stderr: str) -> bool:
    """Whether git complains about the store itself rather than about what was asked."""
    ours = (line for line in stderr.splitlines() if not line.startswith("remote:"))
    return any(_CORRUPT.search(line) for line in ours)


def remote_failure(stderr: str, name: str) -> Failure:
    """The failure of a fetch, a push or a look at the remote called `name`. Unknown words: try again."""
    for meaning in [*_ANYWHERE, *_REMOTE]:
        if meaning.pattern.search(stderr):
            return meaning.error(meaning.sentence.format(name=name), detail=stderr)
    return TransientFailure(
        f"git could not finish with {name}. The log has its words; it is tried again.", detail=stderr
    )


def local_failure(stderr: str, what: str) -> Failure:
    """The failure of a command that only touches this machine; `what` is the command's name."""
    for meaning in _ANYWHERE:
        if meaning.pattern.search(stderr):
            return meaning.error(meaning.sentence.format(name="The store"), detail=stderr)
    if corrupt(stderr):
        return StoreCorrupt(DAMAGED, detail=stderr)
    for meaning in _LOCAL:
        if meaning.pattern.search(stderr):
            return meaning.error(meaning.sentence, detail=stderr)
    return PermanentFailure(f"git {what} failed. The log has its words.", detail=stderr)
