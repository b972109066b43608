"""A JSON Schema of each format, for editors that complete and check while somebody types.

The schema knows keys, types and choices. What only a look at the whole file shows is found by
`opssight copy validate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from syncs.copy.formats import legacy, main, sources, workflows
from syncs.copy.rules.config import (
    MAX_EXCLUDES,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_PATTERN,
    MAX_REPOSITORY,
    MAX_RULES,
    MAX_TARGETS,
)
from syncs.copy.rules.listening import EVENTS
from syncs.copy.rules.options import (
    AUTHOR_POLICIES,
    DELETION_POLICIES,
    EDITS,
    MAX_NAMES,
    MAX_TEXT,
    MAX_TRANSFORMS,
    MERGE_METHODS,
    OTHERS_COMMITS,
    SIGNINGS,
    STRATEGIES,
    TRANSFORM_TYPES,
    UPDATES,
)
from syncs.copy.rules.rule import EXCLUDE_SYNTAXES, MATCHES, RULE_TYPES

Schema = dict[str, Any]
FORMATS: Final = ("v0", "legacy", "sources", "workflows", "main", "native")

_FLAG: Final[Schema] = {"type": "boolean"}


def schema(format_: str) -> Schema:
    """The JSON Schema (2020-12) of a format of `FORMATS`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"OpsSight copy configuration: {format_}",
        **_SCHEMAS[format_](),
    }


def _text(limit: int = MAX_PATTERN, about: str = "") -> Schema:
    # an unquoted number is read as the text that stands there, such as branch: 1.10
    found: Schema = {"type": ["string", "number"], "maxLength": limit}
    return found | ({"description": about} if about else {})


def _choice(options: Sequence[str]) -> Schema:
    return {"enum": list(options)}


def _list(of: Schema, most: int, *, least: int = 0) -> Schema:
    return {"type": "array", "items": of, "maxItems": most} | ({"minItems": least} if least else {})


def _keys(keys: Schema, *required: str) -> Schema:
    found: Schema = {"type": "object", "properties": keys}
    return found | ({"required": list(required)} if required else {})


def _or_ref(of: Schema) -> Schema:
    about = "A file beside this one, or repo://owner/name/path@branch."
    return {"anyOf": [of, _keys({"$ref": {"type": "string", "description": about}}, "$ref")]}


def _strategy(kinds: Sequence[str], *, batch: bool = False) -> Schema:
    keys: Schema = {
        "type": _choice(kinds),
        "commit_message": _text(MAX_MESSAGE),
        "pr_title": _text(MAX_MESSAGE),
        "pr_body": _text(MAX_MESSAGE),
        "use_pr_template": _FLAG,
        **_about_pull_request(),
    }
    return _keys(keys | ({"batch_size": {"type": "integer"}} if batch else {}))


def _about_pull_request() -> Schema:
    """The keys that are called the same in a commit strategy and in a rule of ours."""
    names = _list(_text(MAX_NAME), MAX_NAMES)
    return {
        "labels": names,
        "reviewers": names,
        "assignees": names,
        "draft": _FLAG,
        "auto_merge": _FLAG,
        "merge_method": _choice(MERGE_METHODS),
        "update": _choice(UPDATES),
        "others_commits": _choice(OTHERS_COMMITS),
    }


def _deprecation() -> Schema:
    return _keys({"enabled": _FLAG, "file": _text()})


def _added() -> Schema:
    deletions = _keys(
        {"policy": _choice(DELETION_POLICIES), "file": _text(), "repository": _text(), "branch": _text()}
    )
    transform = _keys(
        {
            "type": _choice(TRANSFORM_TYPES),
            "find": _text(MAX_TEXT),
            "text": _text(MAX_TEXT),
            "files": _list(_text(), MAX_EXCLUDES),
        },
        "type",
    )
    people: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
    authors = _keys({"policy": _choice(AUTHOR_POLICIES), "people": people})
    return {
        "deletions": {"anyOf": [_choice(DELETION_POLICIES), deletions]},
        "edits": _choice(EDITS),
        "transforms": _list(transform, MAX_TRANSFORMS),
        "authors": {"anyOf": [_choice(AUTHOR_POLICIES), authors]},
        "sign": _choice(SIGNINGS),
    }


def _v0() -> Schema:
    entry = _keys(
        {
            "source_directory": _text(),
            "target_repo": _text(MAX_REPOSITORY),
            "target_branch": _text(),
            "target_directory": _text(),
            "recursive_copy": _FLAG,
            "copier_commit_strategy": _choice(("direct", "pr")),
            "pr_title": _text(MAX_MESSAGE),
            "commit_message": _text(MAX_MESSAGE),
            "merge_without_review": _FLAG,
        },
        "source_directory",
        "target_repo",
    )
    return _list(entry, MAX_RULES, least=1)


def _copy_rules() -> Schema:
    pattern = _keys(
        {
            "type": _choice(legacy.TYPES),
            "pattern": _text(),
            "exclude_patterns": _list(_text(), MAX_EXCLUDES),
            "exclude_syntax": _choice(EXCLUDE_SYNTAXES),
        },
        "type",
        "pattern",
    )
    target = _keys(
        {
            "repo": _text(MAX_REPOSITORY),
            "branch": _text(),
            "path_transform": _text(),
            "commit_strategy": _strategy((*STRATEGIES, "batch"), batch=True),
            "deprecation_check": _deprecation(),
            **_added(),
        },
        "repo",
        "path_transform",
    )
    rule = _keys(
        {
            "name": _text(MAX_NAME),
            "source_pattern": pattern,
            "targets": _list(target, MAX_TARGETS, least=1),
        },
        "name",
        "source_pattern",
        "targets",
    )
    return _list(rule, MAX_RULES, least=1)


def _batch() -> Schema:
    config = _keys(
        {
            "pr_title": _text(MAX_MESSAGE),
            "pr_body": _text(MAX_MESSAGE),
            "commit_message": _text(MAX_MESSAGE),
            "use_pr_template": _FLAG,
        }
    )
    return {"batch_by_repo": _FLAG, "batch_pr_config": config}


def _legacy() -> Schema:
    keys = {"source_repo": _text(MAX_REPOSITORY), "source_branch": _text(), **_batch()}
    return _keys({**keys, "copy_rules": _copy_rules()}, "source_repo", "copy_rules")


def _sources() -> Schema:
    rates = _keys({"max_webhooks_per_minute": {"type": "integer"}, "max_concurrent": {"type": "integer"}})
    settings = _keys({"enabled": _FLAG, "timeout_seconds": {"type": "integer"}, "rate_limit": rates})
    source = _keys(
        {
            "repo": _text(MAX_REPOSITORY),
            "branch": _text(),
            "installation_id": _text(),
            "config_file": _text(about="A file with copy_rules or workflows in that repository."),
            **_batch(),
            "copy_rules": _copy_rules(),
            "settings": settings,
        },
        "repo",
    )
    defaults = _keys(
        {
            "commit_strategy": _strategy((*STRATEGIES, "batch"), batch=True),
            "deprecation_check": _deprecation(),
            "settings": settings,
            **_added(),
        }
    )
    return _keys({"sources": _list(source, sources.MAX_SOURCES, least=1), "defaults": defaults}, "sources")


def _defaults() -> Schema:
    return {
        "commit_strategy": _or_ref(_strategy(STRATEGIES)),
        "deprecation_check": _deprecation(),
        "exclude": _or_ref(_list(_text(), MAX_EXCLUDES)),
        "exclude_syntax": _choice(EXCLUDE_SYNTAXES),
        **_added(),
    }


def _workflow_list() -> Schema:
    end = _keys({"repo": _text(MAX_REPOSITORY), "branch": _text(), "installation_id": _text()})
    kinds: Schema = {
        kind: _keys({pattern: _text(), template: _text()}, pattern, template)
        for kind, (pattern, template) in workflows.TRANSFORMATIONS.items()
    }
    own: Schema = {
        "exclude": _list(_text(), MAX_EXCLUDES),
        "exclude_syntax": _choice(EXCLUDE_SYNTAXES),
    }
    transformation = _keys({**kinds, **own}) | {"oneOf": [{"required": [kind]} for kind in kinds]}
    workflow = _keys(
        {
            "name": _text(MAX_NAME),
            "source": end,
            "destination": end | {"required": ["repo"]},
            "transformations": _or_ref(_list(transformation, MAX_RULES, least=1)),
            **_defaults(),
        },
        "name",
        "destination",
        "transformations",
    )
    return _list(workflow, workflows.MAX_WORKFLOWS, least=1)


def _workflows() -> Schema:
    return _keys({"defaults": _keys(_defaults()), "workflows": _workflow_list()}, "workflows")


def _main() -> Schema:
    entry = _keys(
        {
            "source": _choice(("local", "repo", "inline")),
            "path": _text(),
            "repo": _text(MAX_REPOSITORY),
            "branch": _text(),
            "enabled": _FLAG,
            "workflows": _workflow_list(),
        },
        "source",
    )
    entries = _list(entry, main.MAX_CONFIGS, least=1)
    return _keys({"defaults": _keys(_defaults()), "workflow_configs": entries}, "workflow_configs")


def _native() -> Schema:
    end = _keys({"repository": _text(MAX_REPOSITORY), "branch": _text()}, "repository")
    keys: Schema = {
        "name": _text(MAX_NAME),
        "source": end,
        "rules": _list(_native_rule(), MAX_RULES, least=1),
        "targets": _list(end, MAX_TARGETS, least=1),
        "message": _text(MAX_MESSAGE),
        "match": _choice(MATCHES),
        "strategy": _choice(STRATEGIES),
        "pull_request": _native_pull_request(),
        "events": _list(_choice(EVENTS), len(EVENTS), least=1),
        "tags": _text(),
        **_added(),
    }
    return _keys(keys, "name", "source", "rules", "targets")


def _native_rule() -> Schema:
    keys: Schema = {
        "type": _choice(RULE_TYPES),
        "pattern": _text(),
        "template": _text(),
        "exclude": _list(_text(), MAX_EXCLUDES),
        "exclude_syntax": _choice(EXCLUDE_SYNTAXES),
    }
    return _keys(keys, "type", "pattern", "template")


def _native_pull_request() -> Schema:
    return _keys(
        {"title": _text(MAX_TEXT), "body": _text(MAX_TEXT), "use_template": _FLAG, **_about_pull_request()}
    )


_SCHEMAS: Final = {
    "v0": _v0,
    "legacy": _legacy,
    "sources": _sources,
    "workflows": _workflows,
    "main": _main,
    "native": _native,
}
