"""Navigation, teams, messages and buttons of the sample."""

from __future__ import annotations

from opssight.web.parts import Action, Crumb, NavGroup, NavItem, TeamChoice, WorkerLine


def nav(here: str) -> list[NavGroup]:
    places = {"overview": 0, "repository": 1, "run": 2, "workbench": 4, "empty": 4, "connect": 9}
    current = next((number for name, number in places.items() if name in here), 0)
    rows = [
        ("Overview", "/page/overview/", "home", None, 5, ""),
        ("Repositories", "/page/repository/", "repository", 214, 0, "Repos"),
        ("Runs", "/page/run/", "play", None, 0, ""),
        ("Search", "/", "search", None, 0, ""),
        ("Copy", "/page/workbench/", "copy", 12, 0, ""),
        ("Mirror", "/", "mirror", 40, 0, ""),
        ("Backup", "/", "backup", 3, 0, ""),
        ("Index", "/", "index", 6, 0, ""),
        ("Watch", "/", "watch", None, 0, ""),
        ("Connections", "/", "link", 5, 0, ""),
        ("Deliveries", "/", "inbox", None, 0, ""),
        ("Team", "/", "people", None, 0, ""),
        ("Audit log", "/", "audit", None, 0, ""),
    ]
    items = [
        NavItem(label, url, icon, count, number == current, badge, short)
        for number, (label, url, icon, count, badge, short) in enumerate(rows)
    ]
    return [NavGroup("", items[:4]), NavGroup("Jobs", items[4:9]), NavGroup("Setup", items[9:])]


TEAMS = [
    TeamChoice("Acme / Platform", "platform", True),
    TeamChoice("Acme / Docs", "docs"),
    TeamChoice("Mira Holt", "mira"),
]
WORKER = WorkerLine(alive=2, queued=3)
WORKER_NONE = WorkerLine(alive=0, queued=3)
CRUMBS = {
    "overview": [Crumb("Acme", "/"), Crumb("Platform", "/"), Crumb("Overview")],
    "repository": [Crumb("Platform", "/"), Crumb("Repositories", "/"), Crumb("acme/docs")],
    "run": [Crumb("Platform", "/"), Crumb("Runs", "/"), Crumb("docs → sample apps", "/"), Crumb("Run 8e90")],
    "workbench": [
        Crumb("Platform", "/"),
        Crumb("Copy", "/"),
        Crumb("docs → sample apps", "/"),
        Crumb("Edit"),
    ],
    "empty": [Crumb("Platform", "/"), Crumb("Copy")],
}


class _Message:
    def __init__(self, level_tag: str, text: str) -> None:
        self.level_tag = level_tag
        self.text = text

    def __str__(self) -> str:
        return self.text


MESSAGES = [
    _Message("success", "Saved version 14. It runs from the next push on."),
    _Message("error", "GitLab refused the token. Reconnect to go on."),
]

ACTIONS = {
    "plain": Action("Policies", "/"),
    "primary": Action("Prove 13 now", "/", "tick", "primary"),
    "danger": Action("Stop", "/", kind="danger", method="post"),
    "quiet": Action("Discard", "/", kind="quiet"),
    "dialog": Action("Approve 214 deletions…", dialog="approve"),
    "run": Action("Run a job…", "/", "play"),
}
