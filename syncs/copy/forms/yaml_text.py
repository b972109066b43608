"""A rule as YAML: the same configuration as in the workbench, repositories by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import yaml

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import Document, KeyPath, load_document
from syncs.copy.forms.rule_form import Draft, Names, check, unknown_repositories
from syncs.copy.rules.config import CopyConfig, parse_config
from syncs.copy.rules.file_config import Config, FileConfig, version_data
from syncs.copy.rules.options import Options


def to_yaml(config_data: Mapping[str, Any]) -> str:
    """Plain data as YAML that `read_yaml` reads back unchanged."""
    text: str = yaml.safe_dump(
        dict(config_data), sort_keys=False, allow_unicode=True, width=1_000, default_flow_style=False
    )
    return text


def config_to_yaml(config: Config, names: Names) -> str:
    """A configuration as text, with the names of its repositories."""
    if isinstance(config, FileConfig):
        return to_yaml(version_data(_relabelled_file(config, names.label)))
    return to_yaml(version_data(_relabelled(config, names.label)))


def draft_to_yaml(draft: Draft, names: Names) -> str:
    """What stands in the form as text, complete or not."""
    checked = check(draft, names)
    if checked.config is not None:
        return config_to_yaml(checked.config, names)
    data = draft.to_data(names)
    record = data["deletions"] if "repository" in data.get("deletions", {}) else {"repository": ""}
    for place in (data["source"], *data["targets"], record):
        place["repository"] = names.label(place["repository"])
    for rule in data["rules"]:
        if rule["exclude_syntax"] == "glob":
            del rule["exclude_syntax"]
    if data["match"] == "first":
        del data["match"]
    return to_yaml(data)


def read_yaml(text: str, names: Names) -> CopyConfig:
    """The configuration in a text, repositories as ids. InvalidInput names the line of each problem."""
    document = load_document(text)
    config = parse_config(document.data, document)
    problems = [
        (where, _at_line(document, where, sentence))
        for where, sentence in unknown_repositories(Draft.from_config(config, names), names)
    ]
    if problems:
        raise InvalidInput(problems[0][1], problems)
    known = _relabelled(config, names.id_of)
    return parse_config(Draft.from_config(known, names).to_data(names))


def _relabelled(config: CopyConfig, name: Callable[[str], str]) -> CopyConfig:
    targets = tuple(replace(target, repository=name(target.repository)) for target in config.targets)
    source, options = name(config.source_repository), _relabelled_options(config.options, name)
    return replace(config, source_repository=source, targets=targets, options=options)


def _relabelled_options(options: Options, name: Callable[[str], str]) -> Options:
    deletions = options.deletions
    if not deletions.repository:
        return options
    return replace(options, deletions=replace(deletions, repository=name(deletions.repository)))


def _relabelled_file(config: FileConfig, name: Callable[[str], str]) -> FileConfig:
    flows = tuple(
        replace(flow, target_repo=name(flow.target_repo), options=_relabelled_options(flow.options, name))
        for flow in config.flows
    )
    return replace(config, source_repository=name(config.source_repository), flows=flows)


def _at_line(document: Document, where: str, sentence: str) -> str:
    path: list[str | int] = []
    for part in where.split("."):
        name, _, row = part.partition("[")
        path += [name, int(row.removesuffix("]"))] if row else [name]
    line = document.line(cast("KeyPath", tuple(path)))
    return f"{sentence} (line {line})" if line else sentence
