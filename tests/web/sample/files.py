"""Trees, a diff, a passage and the reasons for one path."""

# ruff: noqa: E501 - sentences of the sample are kept whole

from __future__ import annotations

from opssight.web.parts import Action, CodeLine, DiffLine, Reason, TreeNode
from tests.web.sample.base import B


def _files(names: str, **more: object) -> list[TreeNode]:
    return [TreeNode(name, url="?file=" + name, **more) for name in names.split()]  # type: ignore[arg-type]


SOURCE = [
    TreeNode("docs", folder=True, note="1,902"),
    TreeNode(
        "examples",
        folder=True,
        open=True,
        note="11 of 96",
        children=[
            TreeNode(
                "go",
                folder=True,
                open=True,
                note="0 of 31",
                children=_files("client.go go.mod retry_budget.go", dim=True),
            ),
            TreeNode(
                "python",
                folder=True,
                open=True,
                note="11 of 13",
                children=[
                    *_files("async_client.py", lit=True, tag="1"),
                    *_files("pagination.py", lit=True, tag="1", current=True),
                    *_files("retry_budget.py streaming.py requirements.txt README.md", lit=True, tag="1"),
                    TreeNode(
                        "tests",
                        folder=True,
                        open=True,
                        note="0 of 2",
                        children=[
                            TreeNode("conftest.py", dim=True, url="?", action=Action("Why not?", "?why")),
                            *_files("test_client.py", dim=True),
                        ],
                    ),
                ],
            ),
        ],
    ),
    TreeNode(
        "shared", folder=True, open=True, children=_files("production.yaml staging.yaml", lit=True, tag="3")
    ),
    TreeNode("snippets", folder=True, open=True, children=[TreeNode("python/auth", folder=True)]),
]
TARGET = [
    TreeNode(
        "python",
        folder=True,
        open=True,
        note=B(
            '<span class="marks"><span class="added">+6</span><span class="changed">~2</span><span class="removed">−1</span></span>'
        ),
        children=[
            TreeNode(
                "auth",
                folder=True,
                open=True,
                mark="added",
                note="new folder",
                children=_files(
                    "api_key.py device_code.py oauth.py service_account.py", mark="added", tag="2"
                ),
            ),
            TreeNode(
                "config",
                folder=True,
                open=True,
                children=_files("production.yaml staging.yaml", mark="added", tag="3"),
            ),
            TreeNode("auth_example.py", mark="removed", note="written by version 13", url="?"),
            TreeNode("pagination.py", mark="changed", tag="1", current=True, url="?"),
            TreeNode("retry_budget.py", mark="changed", tag="1", url="?"),
        ],
    )
]
DIFF = [
    DiffLine("hunk", [("python/pagination.py  @@ 12,9 → 12,11 @@", False)]),
    DiffLine("same", [("def iter_pages(client, path):", False)], 12, 12),
    DiffLine("same", [('    """Yield every page of a list."""', False)], 13, 13),
    DiffLine("removed", [("    ", False), ("url", True), (" = path", False)], 14),
    DiffLine("added", [("    ", False), ("cursor", True), (" = None", False)], None, 14),
    DiffLine("same", [("    while True:", False)], 15, 15),
    DiffLine("removed", [("        page = client.get(", False), ("url", True), (")", False)], 16),
    DiffLine(
        "added",
        [("        page = client.get(", False), ("path, cursor=cursor", True), (")", False)],
        None,
        16,
    ),
    DiffLine("same", [("        yield from page.items", False)], 17, 17),
]
PASSAGE = [
    CodeLine(118, [("def _retry(self, call, budget: Budget):", False)]),
    CodeLine(
        119,
        [
            ('    """', False),
            ("Retry", True),
            (" after a ", False),
            ("rate limit", True),
            (', never before the server says so."""', False),
        ],
        True,
    ),
    CodeLine(120, [("    for attempt in range(self.max_attempts):", False)]),
    CodeLine(
        124,
        [
            ("        wait = parse_", False),
            ("retry_after", True),
            ("(reply.headers, default=2 ** attempt)", False),
        ],
        True,
    ),
]
REASONS = [
    Reason(
        "1",
        "skipped",
        "Would take it, but leaves it out:",
        B('"but not" <code>**/tests/**</code> matches <code>tests/</code>.'),
    ),
    Reason("2", "not_set_up", B("Looks only in <code>snippets/python/auth</code>.")),
    Reason("3", "not_set_up", B("Stops at the first letter: <code>shared/</code> expected.")),
]
WHY_ACTIONS = [Action("Take tests too (+2 files)", "/", kind="primary"), Action("Take only this file", "/")]
