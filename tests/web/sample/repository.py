"""One repository of the sample."""

from __future__ import annotations

from opssight.web.parts import Action, Chain, Choice, Entry, Fact, Progress, SnapshotMark, Step
from tests.web.sample.base import B, ago, at

STRIP = [
    Step(
        "commit",
        "HEAD of main",
        "Fix Python snippet indentation, by Jonas Weber. Heard by webhook in 0.4 s.",
        sha="9c41e07aa3",
        at=ago(minutes=12),
    ),
    Step(
        "copy",
        "Copy",
        "6 files to 4 of 4 targets in 1.8 s, 11 min ago",
        "at_head",
        note="2 rules, 4 targets",
        behind=0,
        actions=[Action("Now", "/", "play", method="post"), Action("Pause", "/", "pause", method="post")],
    ),
    Step(
        "mirror",
        "Mirror",
        "Sending 30.9 of 48.2 MB, about 6 s left",
        "running",
        "2 behind, running",
        note="onedev.lan",
        behind=2,
        progress=Progress(30.9, 48.2, "30.9 of 48.2 MB", "Mirroring"),
        actions=[Action("Stop", "/", method="post")],
    ),
    Step(
        "backup",
        "Backup",
        "Snapshot holds HEAD, taken 8 min ago. Policy asks for a proof every 7 days.",
        "proof_old",
        "14 days since proof",
        note="s3 acme-backups",
        behind=0,
        actions=[
            Action("Prove now", "/", "tick", "primary", "post"),
            Action("Pause", "/", "pause", method="post"),
        ],
    ),
    Step(
        "index",
        "Index",
        "People and agents cannot search this repository. The first index takes about 40 s.",
        "not_set_up",
        actions=[Action("Add to platform", "/", "plus")],
    ),
]
TABS = [
    Choice("Timeline", "?", True),
    Choice("Files", "?"),
    Choice("Refs", "?", count=41),
    Choice("Snapshots", "?", count=31),
    Choice("Rules", "?", count=2),
    Choice("Pull requests", "?", count=7),
    Choice("Hook", "?"),
    Choice("Settings", "?"),
]
SEGMENTS = [Choice("All", "?", True), Choice("Pushes", "?"), Choice("Runs", "?"), Choice("People", "?")]
ITEM_SEGMENTS = [
    Choice("All", "?", True, 6),
    Choice("Failed", "?", count=1, state="failed"),
    Choice("Conflict", "?", count=1, state="conflict"),
    Choice("Done", "?", count=3, state="done"),
]
MIRROR_SEGMENTS = [
    Choice("All", "?", True, 40),
    Choice("to approve", "?", count=1, state="needs_approval"),
    Choice("unknown", "?", count=1, state="unknown"),
    Choice("equal", "?", count=34, state="equal"),
]
CHAINS = [
    Chain(
        [
            Entry(
                at(13.5),
                B('<b>Jonas Weber pushed 2 commits</b> to main, now <span class="sha">9c41e07</span>'),
                "Fix Python snippet indentation · Rename quickstart to getting-started",
                icon="branch",
                aside="delivery 7f2a",
            ),
            Entry(
                at(13.52),
                "Copied 6 files to 4 of 4 targets in 1.8 s",
                B("rule <b>docs → sample apps</b>, version 13"),
                "succeeded",
                link=Action("run 8f2c", "/"),
            ),
            Entry(
                at(13.52),
                B("Updated pull request <b>#318 Sync examples</b> in quickstart-java"),
                "4 files, checks are running",
                icon="pull-request",
                link=Action("open", "/"),
            ),
            Entry(
                at(13.57),
                "Snapshot 31 stored: 38 KB in 0.9 s",
                "incremental on snapshot 30",
                "done",
                link=Action("run 8f2e", "/"),
            ),
            Entry(
                at(13.67),
                "Mirroring to onedev.lan, 64 %",
                "2 refs to move, 0 to delete",
                "running",
                link=Action("run 8f31", "/"),
            ),
        ],
        "Today",
    ),
    Chain(
        [
            Entry(
                at(11.03),
                B("<b>Pull request #482 merged</b> by Ana Prieto"),
                "Document the retry budget",
                icon="pull-request",
                aside="14 files",
            ),
            Entry(
                at(11.03),
                "Copied 14 files to 3 of 4 targets in 2.1 s; docs-site refused: branch protected",
                B("rule <b>docs → sample apps</b>, version 12"),
                "partial",
                link=Action("run 8e90", "/"),
            ),
            Entry(
                at(11.15),
                B("Mira Holt chose <b>open a pull request instead</b> for docs-site"),
                "became version 13 of the rule",
                icon="user",
                link=Action("diff", "/"),
            ),
            Entry(
                at(11.15),
                B("Opened pull request <b>#91</b> in docs-site"),
                "merged by itself 4 min later, after checks",
                "done",
                link=Action("open", "/"),
            ),
        ]
    ),
    Chain(
        [
            Entry(
                at(-5.7),
                B("<b>Branch release/2.4 was force-pushed</b> by ci-bot"),
                "3 commits no longer reachable at the source",
                icon="branch",
                aside="delivery 7e11",
            ),
            Entry(
                at(-5.65),
                "Mirror waited: history of 1 branch rewritten",
                "old tip 5ab2f90 would have been replaced",
                "needs_approval",
                link=Action("run 8d40", "/"),
            ),
            Entry(
                at(-5.27),
                "Ana Prieto approved; old tip kept as a saved ref for 90 days",
                icon="tick",
                link=Action("refs", "/"),
            ),
            Entry(
                at(-5.27),
                "Mirror equal to the source: 41 of 41 refs verified",
                state="equal",
                link=Action("run 8d47", "/"),
            ),
        ],
        "Yesterday",
    ),
]
FACTS = [
    Fact("Connection", "GitHub acme", provider="github"),
    Fact("", "healthy", "ok", "3 min ago"),
    Fact("Hook", "delivering", "delivering", "last 13:30"),
    Fact("CI on main", "passing", "passing", "94 % in 30 days"),
    Fact("Size", "412 MB, 8,214 commits"),
    Fact("Refs", "41 here, 41 there"),
    Fact("Visibility", "private"),
    Fact("Shared with", "Docs, Platform"),
    Fact("Issues", "not collected", "not_collected", link=Action("turn on", "/")),
]
TARGETS = [
    ("sample-app-python", "at_head", ""),
    ("sample-app-node", "at_head", ""),
    ("quickstart-java", "running", "PR #318 open"),
    ("docs-site", "at_head", ""),
]
SNAPSHOTS = [
    SnapshotMark(
        ago(days=30 - n),
        full=n % 10 == 0,
        title=f"Snapshot {n + 1}",
        state="proved" if n == 16 else "late" if n == 28 else "",
        note="proved restorable, 5 Nov" if n == 16 else "release/2.4 rewritten" if n == 28 else "",
        chosen=n == 27,
    )
    for n in range(31)
]
