"""How changes arrive, as configurations say it: read, told again, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.formats import load
from syncs.copy.rules.config import CopyConfig, Target, parse_config, to_data
from syncs.copy.rules.file_config import FileConfig, file_config_data, read_version
from syncs.copy.rules.options import (
    AUTHOR_POLICIES,
    DELETION_POLICIES,
    EDITS,
    MERGE_METHODS,
    OTHERS_COMMITS,
    SIGNINGS,
    STRATEGIES,
    UPDATES,
    Authors,
    Deletions,
    Options,
    PullRequest,
    Transform,
)
from syncs.copy.rules.rule import Rule

TEXT = st.text(st.characters(categories=["L", "N", "P"], include_characters=" "), min_size=1, max_size=20)
GLOBS = st.sampled_from([(), ("**/*.md", "a/*")])
NAMES = st.lists(TEXT, max_size=3).map(tuple)
OPTIONS = st.builds(
    Options,
    strategy=st.sampled_from(STRATEGIES),
    pull_request=st.builds(
        PullRequest,
        title=TEXT,
        body=TEXT,
        use_template=st.booleans(),
        labels=NAMES,
        reviewers=NAMES,
        assignees=NAMES,
        draft=st.booleans(),
        auto_merge=st.booleans(),
        merge_method=st.sampled_from(MERGE_METHODS),
        update=st.sampled_from(UPDATES),
        others_commits=st.sampled_from(OTHERS_COMMITS),
    ),
    deletions=st.builds(
        Deletions,
        policy=st.sampled_from(DELETION_POLICIES),
        file=st.sampled_from(["gone.json", "a/b.json"]),
        repository=st.sampled_from(["", "acme/site"]),
    ),
    edits=st.sampled_from(EDITS),
    transforms=st.lists(
        st.one_of(
            st.builds(Transform, type=st.just("replace"), find=TEXT, text=TEXT, files=GLOBS),
            st.builds(Transform, type=st.just("line_endings"), text=st.sampled_from(["lf", "crlf"])),
        ),
        max_size=2,
    ).map(tuple),
    authors=st.builds(
        Authors,
        policy=st.sampled_from(AUTHOR_POLICIES),
        people=st.sampled_from([(), (("a@b.c", "Ann <ann@example.org>"),)]),
    ),
    sign=st.sampled_from(SIGNINGS),
)
RULES = (Rule("move", "docs", "site"),)


@given(OPTIONS)
def test_what_is_told_is_read_again(options: Options) -> None:
    config = CopyConfig("n", "a/b", "main", RULES, (Target("c/d"),), options=options)
    assert parse_config(to_data(config)) == config


def test_a_file_keeps_what_each_of_its_flows_says() -> None:
    found = load(
        """\
source_repo: acme/docs
copy_rules:
  - name: go
    source_pattern: {type: glob, pattern: '**/*.go'}
    targets:
      - {repo: acme/app, path_transform: 'x/${filename}', commit_strategy: {type: pull_request, pr_title: T}}
      - {repo: acme/site, path_transform: '${matched_pattern}', deprecation_check: {enabled: true}}
"""
    )
    config = FileConfig("file", "acme/docs", "main", found.flows)
    assert read_version(file_config_data(config)) == config
    with pytest.raises(InvalidInput) as refused:
        read_version({"name": "x", "source": {"repository": "a"}, "flows": [{"colour": 1}]})
    assert "flows[0].colour" in dict(refused.value.problems)


def data(**changes: Any) -> dict[str, Any]:
    return {
        "name": "n",
        "source": {"repository": "a/b"},
        "rules": [{"type": "move", "pattern": "docs", "template": "site"}],
        "targets": [{"repository": "c/d"}],
        **changes,
    }


def test_short_words() -> None:
    options = parse_config(data(deletions="delete", authors="source")).options
    assert (options.deletions, options.authors) == (Deletions("delete"), Authors("source"))


@pytest.mark.parametrize(
    ("changes", "where", "part"),
    [
        ({"strategy": "batch"}, "strategy", "use direct or pull_request"),
        ({"pull_request": {"titel": "x"}}, "pull_request.titel", "not known here"),
        ({"pull_request": {"merge_method": "octopus"}}, "pull_request.merge_method", "use merge or squash"),
        ({"pull_request": {"draft": "yes"}}, "pull_request.draft", "true or false"),
        ({"pull_request": {"labels": ["x"] * 51}}, "pull_request.labels", "50 are allowed"),
        ({"deletions": "drop"}, "deletions.policy", "use ignore or record or delete"),
        ({"deletions": {"file": "../x.json"}}, "deletions.file", ".."),
        ({"deletions": {"file": ".git/config"}}, "deletions.file", ".git"),
        ({"transforms": [{"type": "replace", "text": "b"}]}, "transforms[0].find", "needs find"),
        ({"transforms": [{"type": "line_endings", "text": "cr"}]}, "transforms[0].text", "use lf or crlf"),
        ({"transforms": [{"type": "sed"}]}, "transforms[0].type", "use replace or header"),
        (
            {"transforms": [{"type": "header", "text": "x", "files": ["["]}]},
            "transforms[0].files[0]",
            "[",
        ),
        ({"authors": {"people": {"a@b.c": "Ann"}}}, "authors.people.a@b.c", "Name <address>"),
        ({"authors": {"people": ["x"]}}, "authors.people", "maps an e-mail address"),
        ({"sign": "gpg"}, "sign", "use none or key or api"),
        ({"edits": "lose"}, "edits", "use overwrite or merge or hold"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], where: str, part: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_config(data(**changes))
    found = dict(refused.value.problems)
    assert part in found[where], found
