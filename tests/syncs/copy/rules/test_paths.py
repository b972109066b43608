from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from opssight.core.errors import Failure, InvalidInput
from syncs.copy.rules.paths import (
    Template,
    as_bytes,
    built_in_variables,
    danger,
    join_clean,
    safe_target,
    shown,
    transform,
)

SAFE = [
    b"a",
    b"a/b/c.txt",
    b"...",
    b"a/..b",
    b".github/workflows/ci.yml",
    b".gitignore",
    b".gitmodules",
    b".gitx/y",
    b"git",
    b"git~2",
    b".git.x",
    b"x.git",
    b"git~1x",
    b"a:b",
    b"a b ",
    b"units/dev\\x2ddisk.mount",
    b"\xff\xfe",
    "é/日本".encode(),
    b"x" * 255,
    b"/".join([b"x" * 200] * 20),
]

UNSAFE = [
    (b"", "empty"),
    (b"/a", "absolute"),
    (b"//a", "absolute"),
    (b"\\a", "absolute"),
    (b"C:/a", "absolute"),
    (b"c:\\a", "absolute"),
    (b"..", "goes up"),
    (b"../a", "goes up"),
    (b"a/../b", "goes up"),
    (b"a/..", "goes up"),
    (b"..\\a", "goes up"),
    (b"a\\..\\b", "goes up"),
    (b".", "only a dot"),
    (b"./a", "only a dot"),
    (b"a/./b", "only a dot"),
    (b"a//b", "empty part"),
    (b"a\\\\b", "empty part"),
    (b"a/", "ends with a slash"),
    (b"a\x00b", "control character"),
    (b"a\nb", "control character"),
    (b"a\rb", "control character"),
    (b"a\x1b[31m", "control character"),
    (b"a\x7f", "control character"),
    (b"x" * 256, "longer than 255"),
    (b"a/" + b"x" * 256 + b"/b", "longer than 255"),
    ("é".encode() * 128, "longer than 255"),
    (b"/".join([b"x" * 200] * 21), "longer than 4,096"),
]

GIT_SPELLINGS = [
    ".git",
    ".GIT",
    ".Git",
    ".gIt",
    "git~1",
    "GIT~1",
    ".git.",
    ".git...",
    ".git ",
    ".git . .",
    ".git:",
    ".git::$INDEX_ALLOCATION",
    ".GIT::$INDEX_ALLOCATION",
    "git~1:x",
    "git~1. ",
    ".g\u200cit",
    "\u200d.git",
    ".git\ufeff",
    ".\u202egit",
    ".gi\u206ft",
    ".\u200fG\u200eIT",
]


@pytest.mark.parametrize("path", SAFE)
def test_safe(path: bytes) -> None:
    assert safe_target(path) == path


@pytest.mark.parametrize(("path", "part"), UNSAFE)
def test_unsafe(path: bytes, part: str) -> None:
    with pytest.raises(Failure) as caught:
        safe_target(path)
    assert part in caught.value.sentence


@pytest.mark.parametrize("spelling", GIT_SPELLINGS)
@pytest.mark.parametrize(
    "around", ["{}", "{}/hooks/pre-commit", "a/{}", "a/{}/config", "a\\{}\\config", "a\\{}"]
)
def test_every_spelling_of_git_is_refused(spelling: str, around: str) -> None:
    with pytest.raises(Failure, match=r"spelling of \.git"):
        safe_target(around.format(spelling).encode())


@pytest.mark.parametrize(
    "name",
    [
        ".gitmodules",
        "a/.gitmodules",
        ".GITMODULES",
        ".gitmodules .",
        ".gitmodules::$DATA",
        "gitmod~1",
        "GITMOD~4",
        "gi7eba~1",
        "gi7eb~10",
        ".git\u200cmodules",
        "a\\.gitmodules",
        ".gitmodules/x",
    ],
)
def test_gitmodules_may_be_a_file_and_no_symbolic_link(name: str) -> None:
    assert safe_target(name.encode()) == name.encode()
    with pytest.raises(Failure, match=r"\.gitmodules as a symbolic link"):
        safe_target(name.encode(), "120000")


@pytest.mark.parametrize("name", ["link", ".gitignore", ".gitmodules.x", "gitmod~5"])
def test_other_symbolic_links_are_fine(name: str) -> None:
    assert safe_target(name.encode(), "120000") == name.encode()


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (b"a/b/c.tar.gz", (b"a/b/c.tar.gz", b"c.tar.gz", b"a/b", b"gz")),
        (b"README", (b"README", b"README", b"", b"")),
        (b".env", (b".env", b".env", b"", b"env")),
        (b"a/x.", (b"a/x.", b"x.", b"a", b"")),
        (b"a.d/x", (b"a.d/x", b"x", b"a.d", b"")),
        (b"\xff/\xfe.\xfd", (b"\xff/\xfe.\xfd", b"\xfe.\xfd", b"\xff", b"\xfd")),
    ],
)
def test_built_in_variables(path: bytes, values: tuple[bytes, ...]) -> None:
    assert tuple(built_in_variables(path).values()) == values
    assert tuple(built_in_variables(path)) == ("path", "filename", "dir", "ext")


@pytest.mark.parametrize(
    ("template", "path", "variables", "target"),
    [
        ("docs/${relative_path}", b"a/b", {"relative_path": b"b"}, b"docs/b"),
        ("${dir}/new/${filename}", b"a/b/c.py", {}, b"a/b/new/c.py"),
        ("x.${ext}", b"a/b.go", {}, b"x.go"),
        ("plain", b"a", {}, b"plain"),
        ("${path}", b"a\xff", {}, b"a\xff"),
        ("${path}", b"a/b", {"path": b"mine", "x": b"y"}, b"a/b"),  # the built-in one wins
        ("${v}", b"a", {"v": b"${path}"}, b"${path}"),  # values are not templates
        ("${empty}x", b"a", {"empty": b""}, b"x"),
        ("$path ${} ${x", b"a", {}, b"$path ${} ${x"),
        ("$${path}", b"a", {}, b"$a"),
        ("${my-var 1}", b"a", {"my-var 1": b"v"}, b"v"),
    ],
)
def test_transform(template: str, path: bytes, variables: dict[str, bytes], target: bytes) -> None:
    assert transform(template, path, variables) == target


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("${name}", "${name}"),
        ("${a}/${b}/${a}", "${a}, ${b}"),
        ("${x${path}}", "${xa/b}"),
        ("${Path}", "${Path}"),
    ],
)
def test_variables_without_a_value_are_an_error(template: str, names: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        transform(template, b"a/b", {})
    assert caught.value.sentence.startswith(f"Unreplaced variables in the path template: {names}.")


@pytest.mark.parametrize("template", ["${dir}/a", "../${path}", "${up}/x", ".git/${filename}", "${path}/"])
def test_transform_never_lets_an_unsafe_path_through(template: str) -> None:
    with pytest.raises(InvalidInput, match="may not be written"):
        transform(template, b"root.txt", {"up": b".."})


@pytest.mark.parametrize(
    ("folder", "rest", "joined"),
    [
        ("", b"x/y", b"x/y"),
        ("a", b"x/y", b"a/x/y"),
        ("a/", b"x", b"a/x"),
        ("a//b", b"x", b"a/b/x"),
        ("./a", b"x", b"a/x"),
        (".", b"x", b"x"),
        ("a/../b", b"x", b"b/x"),
        ("../a", b"x", b"../a/x"),
        ("/", b"x", b"/x"),
        ("/a", b"x", b"/a/x"),
        ("//a", b"x", b"/a/x"),
        ("a", b"\xff", b"a/\xff"),
    ],
)
def test_join_clean(folder: str, rest: bytes, joined: bytes) -> None:
    assert join_clean(folder, rest) == joined


def test_template_names_and_filling() -> None:
    template = Template("a/${x}/${dir}/${x}")
    assert template.names == {"x", "dir"}
    assert template.filled(b"1") == b"a/1/1/1"
    with pytest.raises(InvalidInput, match="half of a character"):
        Template("a/\ud800")


def test_text_and_bytes() -> None:
    assert as_bytes("é") == "é".encode()
    assert as_bytes("\udcff") == b"\xff"
    with pytest.raises(InvalidInput, match="half of a character"):
        as_bytes("\ud800")
    assert shown(b"a\xff\n\xc2\xa0b") == "a\\xff\\n\\xa0b"
    assert len(shown(b"x" * 5000)) == 200


def lawful(path: bytes) -> bool:
    """What git itself requires of a path, written in another way than the product does."""
    parts = path.replace(b"\\", b"/").split(b"/")
    if any(part in (b"", b".", b"..") or len(part) > 255 for part in parts):
        return False
    if any(code < 32 or code == 127 for code in path) or len(path) > 4096:
        return False
    folded = [part.decode("utf-8", "replace").lower().split(":")[0].rstrip(" .") for part in parts]
    return not any(name in (".git", "git~1") for name in folded)


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "..",
        ".",
        "",
        ".git",
        ".GIT",
        "git~1",
        ".git ",
        "é",
        "\\",
        "x" * 250,
        "${path}",
        "${v}",
        "\n",
        "/",
        ":",
    ]
)


@given(st.lists(_PIECES, max_size=6), st.lists(_PIECES, max_size=4), st.binary(max_size=8))
def test_no_unsafe_path_leaves_transform(template: list[str], path: list[str], value: bytes) -> None:
    source = "/".join(path).encode()
    try:
        target = transform("/".join(template), source, {"v": value})
    except InvalidInput:
        return
    assert lawful(target)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


def git_takes(repository: Path, path: bytes, mode: str) -> bool:
    """Whether git itself, told to guard every file system, takes a path into an empty index."""
    (repository / ".git" / "index").unlink(missing_ok=True)
    guards = ["-c", "core.protectHFS=true", "-c", "core.protectNTFS=true"]
    entry = b",".join([mode.encode(), b"1" * 40, path])
    command: list[str | bytes] = [
        "git",
        "-C",
        str(repository),
        *guards,
        "update-index",
        "--add",
        "--cacheinfo",
        entry,
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


_TRICKS = [".git", ".GIT", "git~1", ".gitmodules", "gitmod~1", "GI7EBA~1", "gi7eb~10"]
_TRICKS += [".", "..", "", "/", "\\", ":", " ", "\u200c", "~1", "a", "$DATA"]


@settings(max_examples=150)
@given(
    path=st.lists(st.sampled_from(_TRICKS), min_size=1, max_size=5),
    mode=st.sampled_from(["100644", "120000"]),
)
def test_what_git_refuses_is_refused(repository: Path, path: list[str], mode: str) -> None:
    encoded = "".join(path).encode()
    if not danger(encoded, mode):
        assert git_takes(repository, encoded, mode)


@pytest.mark.parametrize("spelling", GIT_SPELLINGS)
def test_the_spellings_are_git_s_own(repository: Path, spelling: str) -> None:
    assert not git_takes(repository, f"a/{spelling}/config".encode(), "100644")


@pytest.mark.parametrize("path", SAFE)
def test_safe_paths_are_fine_for_git(repository: Path, path: bytes) -> None:
    assert git_takes(repository, path, "100644")
