from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import load_document
from syncs.copy.rules.config import (
    CopyConfig,
    Flow,
    Target,
    by_target,
    flows,
    is_branch_name,
    parse_config,
    to_data,
)
from syncs.copy.rules.options import Options, Strategy
from syncs.copy.rules.rule import Rule


def data(**changes: Any) -> dict[str, Any]:
    return {
        "name": "docs → apps",
        "source": {"repository": "acme/docs", "branch": "main"},
        "rules": [{"type": "glob", "pattern": "examples/**", "template": "x/${relative_path}"}],
        "targets": [{"repository": "acme/app", "branch": "dev"}],
        **changes,
    }


def problems(given: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        parse_config(given)
    return caught.value.problems


def test_parse() -> None:
    config = parse_config(
        data(
            rules=[
                {"type": "glob", "pattern": "a/**", "template": "b/${relative_path}", "exclude": ["**/x/**"]},
                {
                    "type": "regex",
                    "pattern": "(?P<n>a)",
                    "template": "${n}",
                    "exclude": ["b$"],
                    "exclude_syntax": "regex",
                },
                {"type": "move", "pattern": "c", "template": "d"},
            ],
            targets=[{"repository": "acme/app"}, {"repository": "acme/app", "branch": "dev"}],
            message="Sync\n\n${file_count} files",
            match="every",
        )
    )
    assert config == CopyConfig(
        name="docs → apps",
        source_repository="acme/docs",
        source_branch="main",
        rules=(
            Rule("glob", "a/**", "b/${relative_path}", ("**/x/**",)),
            Rule("regex", "(?P<n>a)", "${n}", ("b$",), "regex"),
            Rule("move", "c", "d"),
        ),
        targets=(Target("acme/app", ""), Target("acme/app", "dev")),
        message="Sync\n\n${file_count} files",
        match="every",
    )


@pytest.mark.parametrize(
    ("changes", "where", "part"),
    [
        ({"name": ""}, "name", "name is required"),
        ({"name": None}, "name", "name is required"),
        ({"name": 5}, "name", "name takes text"),
        ({"name": "x" * 201}, "name", "201 characters; 200 are allowed"),
        ({"name": "a\nb"}, "name", "cannot be used here"),
        ({"name": "a\ud800"}, "name", "cannot be used here"),
        ({"source": None}, "source", "source is required"),
        ({"source": "acme/docs"}, "source", "source takes keys"),
        ({"source": {"branch": "main"}}, "source.repository", "repository is required"),
        (
            {"source": {"repository": "a", "branch": "-x"}},
            "source.branch",
            "not a name that a branch can have",
        ),
        ({"rules": []}, "rules", "at least one rule"),
        ({"rules": None}, "rules", "at least one rule"),
        ({"rules": "x"}, "rules", "takes a list"),
        ({"rules": ["x"]}, "rules[0]", "takes keys"),
        ({"targets": []}, "targets", "at least one target"),
        (
            {"targets": [{"repository": "a", "branch": "a b"}]},
            "targets[0].branch",
            "not a name that a branch",
        ),
        ({"targets": [{"repository": "a"}, {"repository": "a"}]}, "targets[1]", "stands twice"),
        (
            {"targets": [{"repository": "acme/docs", "branch": "main"}]},
            "targets[0]",
            "that the files come from",
        ),
        ({"message": "x" * 10_001}, "message", "10,001 characters"),
        ({"message": "a\x00"}, "message", "cannot be used here"),
        ({"match": "last"}, "match", "'last' is not a match; use first or every"),
        ({"extra": 1}, "extra", "The key 'extra' is not known here"),
    ],
)
def test_problems(changes: dict[str, Any], where: str, part: str) -> None:
    [(found, message)] = problems(data(**changes))
    assert (found, part in message) == (where, True), message


@pytest.mark.parametrize(
    ("rule", "where", "part"),
    [
        (
            {"type": "script"},
            "rules[0].type",
            "'script' is not a type; use prefix or glob or regex or move or copy",
        ),
        ({"type": None}, "rules[0].type", "type is required"),
        ({"type": 5}, "rules[0].type", "type takes text"),
        ({"pattern": ""}, "rules[0].pattern", "pattern is required"),
        ({"pattern": "a/[**"}, "rules[0].pattern", "[ that is not closed"),
        ({"pattern": "x" * 1001}, "rules[0].pattern", "1,001 characters; 1,000 are allowed"),
        ({"type": "regex", "pattern": "("}, "rules[0].pattern", "missing )"),
        ({"template": ""}, "rules[0].template", "template is required"),
        ({"template": "../${path}"}, "rules[0].template", "goes up"),
        ({"template": ".GIT/${path}"}, "rules[0].template", "spelling of .git"),
        ({"template": "${nope}/x"}, "rules[0].template", "${nope} has no value here; use ${dir}, ${ext}"),
        ({"type": "move", "pattern": "a", "template": "${path}"}, "rules[0].template", "taken as it stands"),
        ({"exclude": "x"}, "rules[0].exclude", "exclude takes a list"),
        ({"exclude": ["ok", ""]}, "rules[0].exclude[1]", "exclude[1] is empty"),
        ({"exclude": ["ok", 7]}, "rules[0].exclude[1]", "takes text"),
        ({"exclude": ["ok", "["]}, "rules[0].exclude[1]", "[ that is not closed"),
        ({"exclude": ["x"] * 101}, "rules[0].exclude", "101 entries; 100 are allowed"),
        (
            {"exclude": ["**/x"], "exclude_syntax": "regex"},
            "rules[0].exclude[0]",
            "no argument for repetition",
        ),
        ({"exclude_syntax": "perl"}, "rules[0].exclude_syntax", "use glob or regex"),
        ({"to": "x"}, "rules[0].to", "not known here"),
    ],
)
def test_problems_of_a_rule(rule: dict[str, Any], where: str, part: str) -> None:
    base = {"type": "glob", "pattern": "a/**", "template": "x/${relative_path}"}
    [(found, message)] = problems(data(rules=[{**base, **rule}]))
    assert (found, part in message) == (where, True), message


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_what_is_no_mapping(given: object) -> None:
    assert problems(given) == [("", "The configuration takes keys." if given is not None else _NOTHING)]


_NOTHING = "The configuration is required."


def test_all_problems_are_told_at_once_and_the_sentence_counts_them() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_config(data(name="", rules=[{"type": "copy", "pattern": "", "template": ""}], targets=[]))
    assert [where for where, _ in caught.value.problems] == [
        "name",
        "rules[0].pattern",
        "rules[0].template",
        "targets",
    ]
    assert caught.value.sentence == "name: name is required. There are 3 more problems."


def test_too_many() -> None:
    rule = {"type": "copy", "pattern": "a", "template": "b"}
    [(where, message)] = problems(data(rules=[rule] * 101))
    assert (where, message) == ("rules", "rules has 101 entries; 100 are allowed.")
    targets = [{"repository": f"acme/{index}"} for index in range(21)]
    assert problems(data(targets=targets)) == [("targets", "targets has 21 entries; 20 are allowed.")]
    assert len(problems(data(rules=[{}] * 100))) == 100  # problems stop somewhere


def test_lines_of_a_file() -> None:
    text = (
        "name: 2024\nsource: {repository: a/b}\nrules:\n  - type: glob\n    pattern: '['\n    template: x\n"
        "targets:\n  - repository: c/d\n    branch: 1.10\n"
    )
    document = load_document(text)
    with pytest.raises(InvalidInput) as caught:
        parse_config(document.data, document)
    assert caught.value.problems == [
        ("rules[0].pattern", "Line 5: The glob has a [ that is not closed by a ].")
    ]
    document = load_document(text.replace("'['", "x"))
    config = parse_config(document.data, document)
    assert (config.name, config.targets) == ("2024", (Target("c/d", "1.10"),))


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=15)
_RULES = st.builds(
    Rule,
    type=st.sampled_from(["prefix", "move", "copy"]),
    pattern=_TEXT,
    template=st.sampled_from(["a", "a/b", "ä/ö", "$x", "{}"]),
    exclude=st.lists(st.sampled_from(["**/x", "a?", "é"]), max_size=3).map(tuple),
) | st.builds(
    Rule,
    type=st.sampled_from(["glob", "regex"]),
    pattern=st.sampled_from(["a", "a/b.c", "a+"]),
    template=st.sampled_from(["x/${path}", "${dir}/x", "a"]),
    exclude=st.lists(st.sampled_from(["a.*", "b$"]), max_size=2).map(tuple),
    exclude_syntax=st.sampled_from(["glob", "regex"]),
)
_CONFIGS = st.builds(
    CopyConfig,
    name=_TEXT,
    source_repository=st.just("acme/source"),
    source_branch=st.sampled_from(["", "main", "feature/x"]),
    rules=st.lists(_RULES, min_size=1, max_size=4).map(tuple),
    targets=st.lists(
        st.builds(Target, _TEXT.map(lambda name: f"t/{name}"), st.sampled_from(["", "dev"])),
        min_size=1,
        max_size=3,
        unique=True,
    ).map(tuple),
    message=st.just("") | _TEXT | st.just("a\n\nb"),
    match=st.sampled_from(["first", "every"]),
)


@given(_CONFIGS)
def test_round_trip_through_data_json_and_yaml(config: CopyConfig) -> None:
    import json

    import yaml

    plain = to_data(config)
    assert parse_config(plain) == config
    assert parse_config(json.loads(json.dumps(plain))) == config
    document = load_document(yaml.safe_dump(plain, allow_unicode=True, sort_keys=False))
    assert parse_config(document.data, document) == config
    assert to_data(parse_config(plain)) == plain


def test_flows() -> None:
    config = parse_config(
        data(targets=[{"repository": "a"}, {"repository": "b", "branch": "dev"}], match="every")
    )
    first, second = flows(config)
    assert first == Flow(
        name="docs → apps",
        source_repo="acme/docs",
        source_branch="main",
        rules=config.rules,
        target_repo="a",
        target_branch="",
        match="every",
        message="Update files from ${source_repo}",
        flavour="native",
    )
    assert (second.target_repo, second.target_branch) == ("b", "dev")


def test_flows_to_one_branch_belong_together() -> None:
    def flow(name: str, repo: str, branch: str = "main", strategy: Strategy = "direct") -> Flow:
        return Flow(name, "s", "main", (), repo, branch, options=Options(strategy=strategy))

    given_flows = [
        flow("1", "a"),
        flow("2", "b"),
        flow("3", "a"),
        flow("4", "a", "dev"),
        flow("5", "a", "main", "pull_request"),
    ]
    groups = [[one.name for one in group] for group in by_target(given_flows)]
    assert groups == [["1", "3"], ["2"], ["4"], ["5"]]


@pytest.mark.parametrize("name", ["main", "feature/x-1", "v1.0", "ü", "a@b", "release_2024", "HEAD2"])
def test_branch_names(name: str) -> None:
    assert is_branch_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-x", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "@", "HEAD", "/a", "a/",
     "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a\n", "a\x7f"],
)  # fmt: skip
def test_names_that_git_refuses(name: str) -> None:
    assert not is_branch_name(name)
