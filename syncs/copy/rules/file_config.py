"""The configuration of a job that came from a copier's file: flows that read one branch of one repository.

Each flow has rules, a target and options of its own, as the file says. A rule made here has one set of them
for all of its targets instead: `config.CopyConfig`. `read_version` reads either from a job's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import KeyPath
from syncs.copy.rules.config import (
    MAX_MESSAGE,
    MAX_NAME,
    MAX_REPOSITORY,
    CopyConfig,
    Flow,
    branch,
    flows,
    parse_config,
    read_rules,
    read_target,
    rule_data,
    summary,
    to_data,
)
from syncs.copy.rules.listening import AS_A_COPIER, LISTEN_KEYS, Listening, listening_data, read_listening
from syncs.copy.rules.options import OPTION_KEYS, options_data, read_options
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import FLAVOURS, MATCHES

MAX_FLOWS: Final = 2_000  # 100 rules to 20 targets each
_KEYS: Final = ("name", "source", "flows", *LISTEN_KEYS)
_FLOW_KEYS: Final = ("name", "rules", "target", "match", "message", "flavour", *OPTION_KEYS)


@dataclass(frozen=True)
class FileConfig:
    """What one source branch of a file leads to. The flows repeat source and branch."""

    name: str
    source_repository: str
    source_branch: str
    flows: tuple[Flow, ...]
    listening: Listening = AS_A_COPIER


Config = CopyConfig | FileConfig  # what a rule is made from: written here, or a part of a copier's file


def read_version(data: object) -> Config:
    """The configuration in a job's version. InvalidInput names every problem."""
    if isinstance(data, Mapping) and "flows" in data:
        return parse_file_config(data)
    return parse_config(data)


def version_data(config: Config) -> dict[str, object]:
    """Plain data that `read_version` takes back."""
    return file_config_data(config) if isinstance(config, FileConfig) else to_data(config)


def flows_of(config: Config) -> list[Flow]:
    return list(config.flows) if isinstance(config, FileConfig) else flows(config)


def parse_file_config(data: Mapping[str, object]) -> FileConfig:
    """The configuration in plain data; `file_config_data` gives its shape."""
    reader = Reader(unknown="error")
    top = reader.mapping(data, (), _KEYS)
    source = reader.mapping(top.get("source"), ("source",), ("repository", "branch"))
    name = reader.text(top, "name", (), limit=MAX_NAME)
    repository = reader.text(source, "repository", ("source",), limit=MAX_REPOSITORY)
    source_branch = branch(reader, source, "branch", ("source",), default="")
    needed = "Give at least one flow."
    items = reader.items(top.get("flows"), ("flows",), limit=MAX_FLOWS, needed=needed)
    found = tuple(
        replace(
            _flow(reader, item, ("flows", index)),
            source_repo=repository,
            source_branch=source_branch,
        )
        for index, item in enumerate(items)
    )
    listening = read_listening(reader, top, default=AS_A_COPIER)
    if reader.errors:
        raise InvalidInput(summary(reader.errors), reader.errors)
    return FileConfig(name, repository, source_branch, found, listening)


def _flow(reader: Reader, value: object, path: KeyPath) -> Flow:
    data = reader.mapping(value, path, _FLOW_KEYS)
    target = read_target(reader, data.get("target"), (*path, "target"))
    return Flow(
        name=reader.text(data, "name", path, limit=MAX_MESSAGE),
        source_repo="",
        source_branch="",
        rules=read_rules(reader, data.get("rules"), (*path, "rules"), strict=False),
        target_repo=target.repository,
        target_branch=target.branch,
        match=reader.choice(data, "match", path, MATCHES, default="first"),
        message=reader.text(data, "message", path, limit=MAX_MESSAGE, default="", lines=True),
        flavour=reader.choice(data, "flavour", path, FLAVOURS, default="native"),
        options=read_options(reader, data, path),
    )


def file_config_data(config: FileConfig) -> dict[str, object]:
    """Plain data that `parse_file_config` takes back."""
    return {
        "name": config.name,
        "source": {"repository": config.source_repository, "branch": config.source_branch},
        "flows": [_flow_data(flow) for flow in config.flows],
        **listening_data(config.listening, AS_A_COPIER),
    }


def _flow_data(flow: Flow) -> dict[str, object]:
    data: dict[str, object] = {
        "name": flow.name,
        "rules": [rule_data(rule) for rule in flow.rules],
        "target": {"repository": flow.target_repo, "branch": flow.target_branch},
        "match": flow.match,
        "flavour": flow.flavour,
    }
    if flow.message:
        data["message"] = flow.message
    return data | options_data(flow.options)
