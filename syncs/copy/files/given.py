"""A copier's file as it was read, with every file that it refers to, and the rules that it means."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from opssight.core.errors import InvalidInput, NotFound
from opssight.core.yamlsafe import load_document
from repos.models import Repository
from syncs.copy.files.reads import GivenReads, Noted, StoreReads, Text, as_text
from syncs.copy.formats import Loaded, load
from syncs.copy.formats.files import Place
from syncs.copy.rules.config import MAX_NAME, CopyConfig, Flow, Target, parse_config
from syncs.copy.rules.file_config import MAX_FLOWS, FileConfig
from syncs.copy.rules.globs import static_prefix
from syncs.copy.rules.listening import AS_A_COPIER
from syncs.copy.rules.rule import Rule

PASTED: Final = "pasted"  # the name of a text that was given without one


@dataclass(frozen=True)
class Given:
    """`texts` has the file itself, then those that it refers to. `oid`: the commit; empty for a pasted one.

    `reads` are repositories and branches that something was read from.
    """

    loaded: Loaded
    texts: tuple[Text, ...]
    oid: str = ""
    reads: tuple[tuple[uuid.UUID, str], ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """The same for the same texts."""
        rows = [text.as_row() for text in self.texts]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Why it cannot be put in force as a whole."""
        return [*self.loaded.errors, *self.loaded.left_out]


def from_repository(reads: StoreReads, repository: Repository, branch: str, path: str) -> Given:
    """The file at the tip of the branch. Asks git servers. NotFound and InvalidInput say what is wrong."""
    reads = replace(reads, own=(repository, branch))
    noted = Noted(reads)
    text = as_text(reads.read(None, None, path), path)
    source = (repository.full_name, branch)
    loaded = load(text, reads=noted, place=Place(path), source=source)
    tips = tuple(dict.fromkeys((tip.repository.pk, tip.branch) for tip in reads.tips.values()))
    first = Text("", "", path, text)
    return Given(loaded, (first, *noted.found), reads.tip(None, None).oid, tips)


def from_texts(
    reads: StoreReads, texts: Mapping[str, str], first: str, source: tuple[str, str] | None = None
) -> Given:
    """Texts that were pasted or uploaded, by their paths; `first` is the one to begin with.

    Asks git servers only for what names a repository. `source`: what a file that names none copies from.
    """
    noted = Noted(GivenReads(texts, reads))
    loaded = load(texts[first], reads=noted, place=Place(first), source=source)
    tips = tuple(dict.fromkeys((tip.repository.pk, tip.branch) for tip in reads.tips.values()))
    own = [Text("", "", first, texts[first])]
    own += [Text("", "", path, text) for path, text in sorted(texts.items()) if path != first]
    return Given(loaded, (*own, *(text for text in noted.found if text.repository)), "", tips)


def from_rows(rows: Sequence[Sequence[str]], oid: str, source: tuple[str, str] | None) -> Given:
    """A version as it was stored. Nothing is asked for."""
    texts = tuple(Text(*row) for row in rows)
    first = texts[0]
    loaded = load(first.text, reads=_Kept(texts), place=Place(first.path), source=source)
    return Given(loaded, texts, oid)


@dataclass
class _Kept:
    texts: Sequence[Text]

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        wanted = (repository or "", branch or "", path)
        for text in self.texts:
            if (text.repository, text.branch, text.path) == wanted:
                return text.text.encode()
        raise NotFound(f"The file {path} was not kept with this version.")


def configs_of(given: Given, name: str) -> list[FileConfig]:
    """One configuration for each source repository and branch, in the order of the file."""
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in given.loaded.flows:
        groups.setdefault((flow.source_repo, flow.source_branch), []).append(flow)
    listening = AS_A_COPIER
    if given.loaded.format == "native":
        listening = parse_config(load_document(given.texts[0].text).data).listening
    names = [repository for repository, _ in groups]
    if many := [place for place, flows in groups.items() if len(flows) > MAX_FLOWS]:
        raise InvalidInput(
            f"{many[0][0]} {many[0][1]} is copied to more than {MAX_FLOWS:,} places. Take some out, or "
            "make two files of it."
        )
    return [
        FileConfig(
            _rule_name(name, repository, branch if names.count(repository) > 1 else ""),
            repository,
            branch,
            tuple(flows),
            listening,
        )
        for (repository, branch), flows in groups.items()
    ]


def _rule_name(file: str, repository: str, branch: str) -> str:
    tail = f" {branch}" if branch else ""
    return f"{file}: {repository[-80:]}{tail}"[:150]


def plain_config(config: FileConfig) -> CopyConfig | None:
    """The rule made here that does the same; None where its flows differ, or mean something else here."""
    first = config.flows[0]
    kept = ("rules", "match", "message", "flavour", "options")
    same = all(getattr(flow, one) == getattr(first, one) for flow in config.flows for one in kept)
    if not same or not all(_reads_alike(rule, first) for rule in first.rules):
        return None
    return CopyConfig(
        name=first.name[:MAX_NAME],
        source_repository=config.source_repository,
        source_branch=config.source_branch,
        rules=first.rules,
        targets=tuple(Target(flow.target_repo, flow.target_branch) for flow in config.flows),
        message=first.message,
        match=first.match,
        options=first.options,
        listening=config.listening,
    )


def _reads_alike(rule: Rule, flow: Flow) -> bool:
    """Whether a glob gives the same variables in that format as in a rule of ours."""
    if rule.type != "glob" or flow.flavour == "native":
        return True
    if flow.flavour == "legacy":
        return "${matched_pattern}" not in rule.template
    folder, slash, _ = static_prefix(rule.pattern).rpartition("/")
    same = rule.pattern.partition("**")[0] == folder + slash
    return same or "${relative_path}" not in rule.template


def names_in(given: Given) -> list[str]:
    """Every repository that the file speaks of, by name, in its order."""
    found: dict[str, None] = {}
    for flow in given.loaded.flows:
        for name in (flow.source_repo, flow.target_repo, flow.options.deletions.repository):
            if name:
                found[name] = None
    return list(found)


def first_of(texts: Mapping[str, str]) -> str:
    """The file to begin with: the one that names the others, else the first that is a configuration."""
    formats = {path: load(text).format for path, text in texts.items()}
    for wanted in ("main", "sources"):
        if found := [path for path, format_ in formats.items() if format_ == wanted]:
            return found[0]
    known = [path for path, format_ in formats.items() if format_]
    if not (known or texts):
        raise InvalidInput("Paste or upload a file first.")
    return (known or list(texts))[0]
