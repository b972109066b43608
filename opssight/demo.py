"""The demo: real repositories of this machine, two rules, and one push followed to its end.

Nothing of the person is written to: the checkout is only read, everything else is below the data
folder. Every step looks whether it was done before, so a second time repeats nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from opssight.accounts.local import local_principal, local_team
from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.core.errors import Failure, PermanentFailure
from opssight.core.words import count, seconds
from repos import access
from repos.connections import create_connection
from repos.git.inspect import inspect_folder
from repos.git.runner import Git
from repos.inventory import discover, import_repositories
from repos.models import Connection, Repository
from repos.webhooks import create_hook
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.models import Job, Run, RunState

Say = Callable[[str], None]

WAIT_SECONDS = 180.0
_HANDBOOK = {
    "pages/welcome.md": "# Welcome\n\nWhat a new colleague needs on the first day.\n",
    "pages/on-call.md": "# On call\n\n1. Acknowledge.\n2. Look around.\n3. Write down what you did.\n",
    "drafts/ideas.md": "Not for everybody yet.\n",
}
_CHANGE = {"pages/on-call.md": _HANDBOOK["pages/on-call.md"] + "4. Hand over in daylight.\n"}


@dataclass(frozen=True)
class DemoRow:
    """One job of the demo and how it went: `succeeded`, `skipped` (with the reason) or `failed`."""

    kind: str
    name: str
    status: str
    seconds: float
    summary: str

    def document(self) -> dict[str, object]:
        return asdict(self)


def demo(url: str, say: Say) -> list[DemoRow]:
    """Build the demo and run every job of it; `url` is where the dashboard answers. A worker must run."""
    team = local_team()
    who = local_principal(team)
    home = Path(settings.DATA) / "demo"
    made_now = _make_repositories(home, access.git())
    say("Looking at the repositories of this machine …")
    local = _connect(who, team, "Demo folder", home)
    return [
        _checkout_rule(who, team, local["website"], say),
        _handbook_rule(who, team, local, url, say, fresh=made_now),
    ]


# --- repositories -------------------------------------------------------------------------------------


def _make_repositories(home: Path, git: Git) -> bool:
    """`handbook` with a first commit and an empty `website`; True when they were made just now."""
    if (home / "website.git" / "HEAD").exists() and (home / "handbook.git" / "HEAD").exists():
        return False
    home.mkdir(parents=True, exist_ok=True)
    for name in ("handbook", "website"):
        git.run(["init", "--quiet", "--bare", "--initial-branch=main", str(home / f"{name}.git")])
    _commit(git, home / "handbook.git", _HANDBOOK, "First pages", parent=False)
    return True


def _commit(git: Git, folder: Path, files: Mapping[str, str], message: str, *, parent: bool = True) -> str:
    """A commit by a colleague on main of a bare repository; its id."""
    at = f"{int(now().timestamp())} +0000"
    lines = ["commit refs/heads/main", f"committer Jonas Weber <jonas@example.org> {at}"]
    lines += [f"data {len(message.encode())}", message]
    lines += ["from refs/heads/main^0"] if parent else []
    for path, text in files.items():
        lines += [f"M 100644 inline {path}", f"data {len(text.encode())}", text]
    git.run(["fast-import", "--quiet"], git_dir=folder, stdin=[("\n".join(lines) + "\n").encode()])
    return git.run(["rev-parse", "refs/heads/main"], git_dir=folder).stdout.decode().strip()


def _connect(who: Principal, team: Team, name: str, root: Path) -> dict[str, Repository]:
    """The usable repositories below a folder by name, connected and imported once."""
    connection = Connection.objects.filter(team=team, name=name).first()
    if connection is None:
        connection = create_connection(who, team, "folder", name, {"root": str(root)}, {}, local=True)
    known = {row.full_name: row for row in Repository.objects.filter(connection=connection)}
    return known or {row.full_name: row for row in import_repositories(who, connection)}


# --- the two rules --------------------------------------------------------------------------------------


def _checkout_rule(who: Principal, team: Team, website: Repository, say: Say) -> DemoRow:
    """The documents of this checkout, whole, into the website: started as by a button."""
    name = "OpsSight's documents → website"
    job = Job.objects.filter(team=team, kind="copy", name=name).first()
    try:
        if job is None:
            source = _this_checkout(who, team)
            config = CopyConfig(
                name=name,
                source_repository=str(source.pk),
                source_branch=source.default_branch,
                rules=(
                    Rule("glob", "docs/**", "opssight/${relative_path}"),
                    Rule("copy", "README.md", "opssight/about.md"),
                ),
                targets=(Target(str(website.pk), "main"),),
                message="Bring OpsSight's documents up to ${commit_sha}",
            )
            say(f"Copying {source.full_name} to {website.full_name} …")
            job, run = create_rule(who, team, config, start="now")
            return _row(job, _wait(run, say))
    except Failure as failure:
        return DemoRow("copy", name, "skipped", 0.0, failure.sentence)
    return _row_of_before(job)


def _this_checkout(who: Principal, team: Team) -> Repository:
    """This checkout as a repository of the inventory; a Failure says why it cannot be copied from."""
    root = Path(settings.BASE_DIR)
    state = inspect_folder(root, access.git())
    if state.kind == "not a repository":
        raise PermanentFailure(
            "OpsSight does not run from a git checkout here, so there is nothing to copy from."
        )
    connection = Connection.objects.filter(team=team, name="This checkout").first()
    if connection is None:
        options = {"root": str(root)}
        connection = create_connection(who, team, "folder", "This checkout", options, {}, local=True)
    found = next((one for one in discover(connection) if one.remote.external_id == "."), None)
    if found is None or not found.remote.usable:
        raise PermanentFailure(
            found.remote.reason if found else "This checkout was not found in its own folder."
        )
    [repository] = import_repositories(who, connection, ["."])
    if not repository.default_branch:
        raise PermanentFailure(
            "This checkout is not on a branch (detached HEAD). Run git switch -c main in it, and start again."
        )
    return repository


def _handbook_rule(
    who: Principal, team: Team, local: Mapping[str, Repository], url: str, say: Say, *, fresh: bool
) -> DemoRow:
    """A colleague pushes to the handbook; the webhook tells us; the website gets the page."""
    name = "Handbook → website"
    handbook, website = local["handbook"], local["website"]
    job = Job.objects.filter(team=team, kind="copy", name=name).first()
    if job is not None and not fresh:
        return _row_of_before(job)
    hook, secret = create_hook(who, team, "plain", name="Handbook pushes", repository=handbook)
    config = CopyConfig(
        name=name,
        source_repository=str(handbook.pk),
        source_branch="main",
        rules=(Rule("glob", "pages/**", "handbook/${relative_path}"),),
        targets=(Target(str(website.pk), "main"),),
        message="Handbook: ${file_count} pages from ${source_repo}",
    )
    job, first = create_rule(who, team, config, start="now")
    _wait(first, say)
    folder = Path(settings.DATA) / "demo" / "handbook.git"
    say("A colleague changes a page of the handbook and pushes …")
    oid = _commit(access.git(), folder, _CHANGE, "On call: hand over in daylight")
    _deliver(f"{url}{hook.path}", secret, {"ref": "refs/heads/main", "after": oid, "by": "Jonas Weber"})
    return _row(job, _wait(_run_after(job, first), say))


def _deliver(url: str, secret: str, payload: Mapping[str, str]) -> None:
    """What a git server does after a push: a signed POST to our webhook."""
    body = json.dumps(payload).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-OpsSight-Signature-256": f"sha256={signature}"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        if answer.status != 202:
            raise PermanentFailure(f"The webhook answered {answer.status} instead of 202.")


def _run_after(job: Job, earlier: Run) -> Run:
    run: Run = job.runs.filter(id__gt=earlier.pk).order_by("id").get()
    return run


# --- how it went ------------------------------------------------------------------------------------------


def _wait(run: Run, say: Say) -> Run:
    """The run once it has ended; PermanentFailure when it takes too long."""
    ends = time.monotonic() + WAIT_SECONDS
    said = ""
    while not run.finished:
        if time.monotonic() > ends:
            raise PermanentFailure("The run did not end in time. Is a worker running?")
        time.sleep(0.1)
        run.refresh_from_db()
        if run.progress_text and run.progress_text != said:
            said = run.progress_text
            say(f"  {said}")
    return run


def _row(job: Job, run: Run) -> DemoRow:
    took = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else 0.0
    if run.state != RunState.SUCCEEDED:
        return DemoRow(job.kind, job.name, "failed", round(took, 1), run.sentence)
    return _proved(job, round(took, 1), run.sentence)


def _row_of_before(job: Job) -> DemoRow:
    """An earlier time did it: nothing is repeated, only looked at."""
    run = job.runs.filter(finished_at__isnull=False).order_by("-id").first()
    if run is None or run.state != RunState.SUCCEEDED:
        sentence = run.sentence if run else "It never ran."
        return DemoRow(job.kind, job.name, "failed", 0.0, f"{sentence} Retry it in the dashboard.")
    age = seconds(max((now() - (run.finished_at or now())) / dt.timedelta(seconds=1), 0.0))
    return _proved(job, 0.0, f"Done {age} ago, nothing to repeat.")


def _proved(job: Job, took: float, sentence: str) -> DemoRow:
    try:
        return DemoRow(job.kind, job.name, "succeeded", took, f"{sentence} {_prove(job)}")
    except Failure as failure:
        return DemoRow(job.kind, job.name, "failed", took, failure.sentence)


def _prove(job: Job) -> str:
    """Compare what the rule says with what stands in the target, by plain `git ls-tree` on both sides."""
    config = job.version.config if job.version else {}
    source = Repository.objects.select_related("connection").get(pk=config["source"]["repository"])
    target = Repository.objects.select_related("connection").get(pk=config["targets"][0]["repository"])
    state = job.copy_rule.targets.get().state
    here = _ls_tree(source, state.source_oid)
    there = _ls_tree(target, "refs/heads/main")
    wanted = {}
    for rule in config["rules"]:
        before, after = rule["pattern"].removesuffix("**"), rule["template"].removesuffix("${relative_path}")
        for path, entry in here.items():
            if path == before or (before.endswith("/") and path.startswith(before)):
                wanted[after + path.removeprefix(before) if before.endswith("/") else after] = entry
    different = sorted(path for path, entry in wanted.items() if there.get(path) != entry)
    if different:
        raise PermanentFailure(
            f"{target.full_name} does not hold what the rule says: {', '.join(different[:5])}."
        )
    return f"Proved by git ls-tree: {count(len(wanted), 'file')} equal."


def _ls_tree(repository: Repository, commit: str) -> dict[str, str]:
    """Path → mode and object id, from the repository itself."""
    path = access.remote_of(repository).path
    if path is None:
        raise PermanentFailure("The demo proves folders only.")
    state = inspect_folder(path, access.git())
    git_dir = state.common_dir or path
    listing = access.git().run(["ls-tree", "-r", "-z", commit], git_dir=git_dir).stdout.decode()
    pairs = (line.partition("\t") for line in listing.split("\0") if line)
    return {name: entry for entry, _, name in pairs}
