"""Repositories to copy between by `opssight copy`, and the files that tell it how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cli.command import Ran, ran
from tests.repos.git.work import Bare

SOURCE, TARGET = "acme/code", "acme/site"
Json = dict[str, Any]


def legacy(*rules: Json, **top: Any) -> Json:
    return {"source_repo": SOURCE, "source_branch": "main", **top, "copy_rules": list(rules)}


def rule(
    type: str, pattern: str, transform: str, *, target: str = TARGET, exclude: Sequence[str] = (), **more: Any
) -> Json:
    """A rule of the legacy format with one target."""
    strategy = {"type": "direct", **({"commit_message": more.pop("message")} if "message" in more else {})}
    return {
        "name": more.pop("name", f"{type} {pattern}"),
        "source_pattern": {"type": type, "pattern": pattern, "exclude_patterns": list(exclude)},
        "targets": [
            {
                "repo": target,
                "branch": "main",
                "path_transform": transform,
                "commit_strategy": strategy,
                **more,
            }
        ],
    }


def workflow(*transformations: Json, target: str = TARGET, branch: str = "main", **more: Any) -> Json:
    return {
        "name": more.pop("name", "handbook"),
        "source": {"repo": SOURCE, "branch": branch},
        "destination": {"repo": target, "branch": more.pop("to", "main")},
        "commit_strategy": {"type": "direct", **more.pop("strategy", {})},
        "transformations": list(transformations),
        **more,
    }


def workflows(*flows: Json) -> Json:
    return {"workflows": list(flows)}


MOVE_DOCS = {"move": {"from": "docs", "to": "handbook"}}


class World:
    """`code` is the source, `site` the target; both are bare repositories below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.code, self.site = Bare(root / "code.git"), Bare(root / "site.git")
        self.base = self.code.commit({b"README": b"code", b"docs/old.md": b"old"})
        self.tip = self.site.commit({b"README": b"site"})

    @property
    def head(self) -> str:
        return self.code.oid("main")

    @property
    def urls(self) -> dict[str, str]:
        return {SOURCE: str(self.code.path), TARGET: str(self.site.path)}

    def file(self, config: Json | str | bytes) -> str:
        """The configuration as a file; its path."""
        path = self.root / "copier.yaml"
        text = json.dumps(config) if isinstance(config, dict) else config
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def apply(
        self, config: Json, *more: str, base: str = "", head: str = "", urls: Mapping[str, str] | None = None
    ) -> Ran:
        """`copy apply --json` from `base` (default: the first commit) to `head` (default: the tip)."""
        commits = ("--base", base or self.base, "--head", head or self.head)
        return self._run("apply", config, "--json", *commits, *more, urls=urls)

    def sync(self, config: Json, *more: str, urls: Mapping[str, str] | None = None) -> Ran:
        return self._run("sync", config, "--json", *more, urls=urls)

    def dry_run(self, config: Json, urls: Mapping[str, str] | None = None) -> str:
        """The differences that `copy sync --dry-run` shows a person."""
        shown = self._run("sync", config, "--dry-run", urls=urls)
        assert shown.status == 0, shown.err
        return shown.out.partition(f"\n{TARGET} main\n\n")[2]

    def _run(self, word: str, config: Json, *more: str, urls: Mapping[str, str] | None) -> Ran:
        places = {**self.urls, **(urls or {})}
        repos = [text for name, url in places.items() for text in ("--repo", f"{name}={url}")]
        return ran("copy", word, self.file(config), "--source", SOURCE, *repos, *more)


def tree(repository: Bare, branch: str = "main") -> dict[str, str]:
    """Mode and contents of every file of the branch, by its path; what is not UTF-8 is escaped."""
    lines = repository.git("ls-tree", "-r", "-z", f"refs/heads/{branch}").split("\0")
    found = {}
    for line in filter(None, lines):
        facts, _, path = line.partition("\t")
        mode, _, oid = facts.split(" ")
        found[path] = f"{mode} {repository.git('cat-file', 'blob', oid)}"
    return found


def one(answer: Ran) -> Json:
    """The only target of an answer."""
    [target] = answer.document["targets"]
    found: Json = target
    return found
