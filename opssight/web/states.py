"""How each state looks: a tone (colour), a shape and a word, always the three together."""

from __future__ import annotations

from dataclasses import dataclass

from opssight.web.parts import Tone


@dataclass(frozen=True, slots=True)
class StateLook:
    tone: Tone
    shape: str
    word: str


def _looks(tone: Tone, shape: str, **words: str) -> dict[str, StateLook]:
    return {key: StateLook(tone, shape, word) for key, word in words.items()}


STATES: dict[str, StateLook] = {
    **_looks(
        "ok",
        "disc-tick",
        succeeded="succeeded",
        done="done",
        at_head="at HEAD",
        equal="equal",
        proved="proved",
        allowed="allowed",
        delivering="delivering",
        ok="healthy",
        passing="passing",
        beating="beating",
        accepted="accepted",
        stored="stored",
        on="on",
    ),
    **_looks("run", "ring-arc", running="running", following="following", behind="behind"),
    **_looks("none", "clock", queued="queued", polled="polled", planned="planned"),
    **_looks("warn", "half-disc", partial="partial"),
    **_looks(
        "warn",
        "triangle",
        late="late",
        degraded="degraded",
        proof_old="proof too old",
        missing_scope="missing scope",
        stuck="stuck",
        last_copy="last copy",
        rate_limited="rate limited",
        warning="look at this",
    ),
    **_looks(
        "bad",
        "octagon-cross",
        failed="failed",
        dead="dead",
        revoked="revoked",
        blocked="blocked",
        reauth="reconnect",
        failing="failing",
        unauthentic="not authentic",
        unreadable="unreadable",
        error="error",
        broken="broken",
    ),
    **_looks("hold", "diamond-question", needs_approval="needs approval", held="held"),
    **_looks("hold", "diamond-differs", conflict="conflict"),
    **_looks("none", "square-bars", paused="paused", disabled="disabled"),
    **_looks(
        "none",
        "slashed-circle",
        skipped="skipped",
        cancelled="cancelled",
        not_offered="not offered",
        ignored="ignored",
        duplicate="duplicate",
        gone="gone",
        pruned="pruned",
    ),
    **_looks("none", "dashed-question", unknown="unknown", not_collected="not collected"),
    **_looks("none", "dashed-circle", not_set_up="not set up", pending="not started", off="off"),
}

UNKNOWN = STATES["unknown"]
HATCHED = frozenset({"unknown", "not_collected"})
"""Drawn hatched in bars and cells: nobody knows, so it must not look like fine or like zero."""


def look_of(state: str) -> StateLook:
    """The look of a state; a word that is not in the table is shown as unknown, under its own name."""
    found = STATES.get(state)
    if found is not None:
        return found
    return StateLook(UNKNOWN.tone, UNKNOWN.shape, state.replace("_", " ") or UNKNOWN.word)
