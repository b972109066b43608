"""Copiers' files as rules: importing one, following it, going back. A broken one changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.errors import Conflict, InvalidInput, NotFound
from opssight.core.words import count
from repos.models import Repository
from syncs import jobs
from syncs.copy.files.given import Given, configs_of, from_rows
from syncs.copy.files.reads import in_team
from syncs.copy.models import ConfigFile, ConfigRead, ConfigVersion, CopyRule
from syncs.copy.rules.file_config import FileConfig, version_data
from syncs.copy.saved import service, states
from syncs.models import Job

MAX_PROBLEMS: Final = 20  # that are kept with a file
MAX_NAME: Final = 60


@dataclass(frozen=True)
class Location:
    """Where a file is kept. `source`: what a pasted file that names no source copies from."""

    repository: Repository | None = None
    branch: str = ""
    path: str = ""
    source: tuple[str, str] = ("", "")


def create(
    principal: Principal, team: Team, name: str, given: Given, place: Location, mode: ConfigFile.Mode
) -> ConfigFile:
    """Import the file: its rules are made at once. InvalidInput names everything that is in the way."""
    principal.require(Role.OPERATOR, team.pk)
    _refuse(given)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        sentence = f"Give the file a name of at most {MAX_NAME} plain characters."
        raise InvalidInput(sentence, [("name", sentence)])
    try:
        with transaction.atomic():
            file = ConfigFile.objects.create(
                team=team,
                name=name,
                mode=mode,
                repository=place.repository,
                branch=place.branch,
                path=place.path,
                source_name=place.source[0],
                source_branch=place.source[1],
                created_by=principal.user,
            )
            record("configfile.create", team_id=team.pk, target=_target(file), diff={"mode": mode})
            _put_in_force(principal, file, given, "")
            if given.reads:  # the first look decides how often to look
                file.due_at = now()
                file.save(update_fields=["due_at"])
            return file
    except IntegrityError:
        sentence = f"There is already a file called {name!r}. Choose another name."
        raise InvalidInput(sentence, [("name", sentence)]) from None


def change(principal: Principal, file: ConfigFile, given: Given, note: str = "") -> ConfigFile:
    """A new version of a file that was pasted. Conflict for one that is kept in a repository."""
    principal.require(Role.OPERATOR, file.team_id)
    if file.repository is not None:
        raise Conflict(f"{file.name} is kept in {file.repository.full_name}. Change it there.")
    _refuse(given)
    return _locked(principal, file, given, note)


def take_newest(principal: Principal, file: ConfigFile, given: Given) -> ConfigFile:
    """What was just read of a file, in force when it can be; else the sentence says why it is not.

    The same texts as the last time change nothing.
    """
    if given.digest == file.seen_digest:
        ConfigFile.objects.filter(pk=file.pk).update(checked_at=now(), seen_oid=given.oid)
        return ConfigFile.objects.get(pk=file.pk)
    try:
        _refuse(given)
        return _locked(principal, file, given, "")
    except InvalidInput as error:
        return note_broken(file, error, given)


@transaction.atomic
def note_broken(file: ConfigFile, error: InvalidInput, given: Given | None = None) -> ConfigFile:
    """The newest file cannot be put in force; what is in force stays."""
    file = ConfigFile.objects.select_for_update().get(pk=file.pk)
    known = file.sentence
    file.sentence = _first(error.problems)
    file.problems = [list(problem) for problem in error.problems[:MAX_PROBLEMS]]
    file.checked_at = now()
    if given is not None:
        file.seen_oid, file.seen_digest = given.oid, given.digest
    file.save(update_fields=["sentence", "problems", "checked_at", "seen_oid", "seen_digest"])
    if file.sentence != known:
        diff = {"sentence": file.sentence, "commit": file.seen_oid}
        record("configfile.broken", team_id=file.team_id, target=_target(file), diff=diff)
    return file


def roll_back(principal: Principal, file: ConfigFile, number: int) -> ConfigFile:
    """Put what version `number` said in force again, as a new version.

    Of a file that is kept in a repository it stays until that file changes there.
    """
    principal.require(Role.OPERATOR, file.team_id)
    version = file.versions.filter(number=number).first()
    if version is None:
        raise NotFound(f"{file.name} has no version {number}.")
    given = given_of(file, version)
    _refuse(given)
    return _locked(principal, file, given, f"As version {number}.", seen=False)


def given_of(file: ConfigFile, version: ConfigVersion) -> Given:
    """What a version said."""
    source = (file.source_name, file.source_branch)
    if file.repository is not None:
        source = (file.repository.full_name, file.branch)
    return from_rows(version.texts, version.oid, source if source[0] else None)


@transaction.atomic
def set_mode(principal: Principal, file: ConfigFile, mode: ConfigFile.Mode) -> None:
    """What new rules of the file do, and those that are on."""
    principal.require(Role.OPERATOR, file.team_id)
    before, file.mode = file.mode, mode
    file.save(update_fields=["mode"])
    if before != mode:
        record("configfile.mode", team_id=file.team_id, target=_target(file), diff={"mode": [before, mode]})
    for rule in file.rules.select_related("job").filter(job__enabled=True):
        states.set_state(principal, rule.job, "shadow" if mode == ConfigFile.Mode.SHADOW else "enabled")


def look_again(principal: Principal, file: ConfigFile) -> None:
    """Have the file read again within seconds, even when it did not change."""
    principal.require(Role.OPERATOR, file.team_id)
    ConfigFile.objects.filter(pk=file.pk).update(due_at=Now(), seen_digest="")


@transaction.atomic
def delete(principal: Principal, file: ConfigFile) -> None:
    """Delete the file with its versions and rules. Conflict while one of them is running."""
    principal.require(Role.OPERATOR, file.team_id)
    for rule in file.rules.select_related("job"):
        jobs.delete_job(rule.job)
    record("configfile.delete", team_id=file.team_id, target=_target(file))
    ConfigFile.objects.filter(pk=file.pk).update(version=None)
    ConfigFile.objects.get(pk=file.pk).delete()


# --- putting in force ------------------------------------------------------------------------------------


@transaction.atomic
def _locked(
    principal: Principal, file: ConfigFile, given: Given, note: str, *, seen: bool = True
) -> ConfigFile:
    file = ConfigFile.objects.select_for_update(of=("self",)).select_related("repository").get(pk=file.pk)
    _put_in_force(principal, file, given, note, seen=seen)
    return file


def _put_in_force(
    principal: Principal, file: ConfigFile, given: Given, note: str, *, seen: bool = True
) -> None:
    made = _make_rules(in_team(principal, file.team), file, given)
    newest = file.versions.aggregate(n=Max("number"))["n"] or 0
    before = file.version.number if file.version else None
    file.version = ConfigVersion.objects.create(
        file=file,
        number=newest + 1,
        format=given.loaded.format or "",
        texts=[text.as_row() for text in given.texts],
        oid=given.oid,
        jobs=[str(job.pk) for job in made],
        note="".join(char for char in note if char.isprintable())[:300],
        created_by=principal.user,
    )
    file.checked_at = now()
    if seen:
        file.sentence, file.problems = "", []  # going back mends nothing in the repository
        file.seen_oid, file.seen_digest = given.oid, given.digest
        _note_reads(file, given)
    file.save()
    record(
        "configfile.version",
        team_id=file.team_id,
        target=_target(file),
        diff={"version": [before, file.version.number], "rules": len(made), "commit": given.oid},
    )


def _make_rules(principal: Principal, file: ConfigFile, given: Given) -> list[Job]:
    """The rules that the file means: new, changed or as they were. Those it left out are switched off."""
    principal.require(Role.OPERATOR, file.team_id)
    wanted = _resolved(principal, configs_of(given, file.name))
    there = {(str(rule.source_id), rule.source_branch): rule for rule in _rules(file)}
    before = file.version.jobs if file.version else []
    made = []
    for config in wanted:
        rule = there.pop((config.source_repository, config.source_branch), None)
        if rule is None:
            job, _ = service.create_rule(principal, file.team, config)
            shadow = file.mode == ConfigFile.Mode.SHADOW
            CopyRule.objects.filter(job=job).update(config_file=file, shadow=shadow)
        else:
            job = _changed(principal, rule.job, config)
            if str(job.pk) not in before:  # it was switched off when the file did not name it any more
                states.set_state(principal, job, "shadow" if file.mode == "shadow" else "enabled")
        made.append(job)
    for rule in there.values():
        jobs.set_enabled(rule.job, False)
    return made


def _rules(file: ConfigFile) -> list[CopyRule]:
    return list(file.rules.select_related("job__version"))


def _changed(principal: Principal, job: Job, config: FileConfig) -> Job:
    if job.version is not None and job.version.config == version_data(config):
        return job
    return service.update_rule(principal, job, config)[0]


def _resolved(principal: Principal, configs: Sequence[FileConfig]) -> list[FileConfig]:
    """With repositories as ids. InvalidInput has what is wrong with all of them."""
    problems: dict[tuple[str, str], None] = {}
    found = []
    for config in configs:
        try:
            one = service.resolve(principal, config)
        except InvalidInput as error:
            problems |= dict.fromkeys((config.source_repository, text) for _, text in error.problems)
            continue
        assert isinstance(one, FileConfig)  # noqa: S101 - it is what was given
        found.append(one)
    if problems:
        raise InvalidInput(_first(list(problems)), list(problems))
    return found


def _note_reads(file: ConfigFile, given: Given) -> None:
    file.reads.all().delete()
    rows = [ConfigRead(file=file, repository_id=id, branch=branch) for id, branch in given.reads]
    ConfigRead.objects.bulk_create(rows)


def _refuse(given: Given) -> None:
    """InvalidInput when something of the file cannot be used, or when there is nothing in it."""
    problems = given.problems
    if not problems and given.loaded.names_no_source:
        problems = [("", "The file does not say what it copies from. Name a source repository.")]
    if not problems and not given.loaded.flows:
        problems = [("", "The file makes no rule.")]
    if problems:
        raise InvalidInput(_first(problems), problems)


def _first(problems: Sequence[tuple[str, str]]) -> str:
    where, sentence = problems[0]
    verb = "is" if len(problems) == 2 else "are"
    more = f" There {verb} {count(len(problems) - 1, 'more problem')}." if len(problems) > 1 else ""
    return f"{where}: {sentence}{more}" if where else f"{sentence}{more}"


def _target(file: ConfigFile) -> tuple[str, Any, str]:
    return ("configfile", file.pk, file.name)


def limited(file: ConfigFile) -> Principal | None:
    """Who the file's rules are saved by when it changes by itself; None when nobody may any more."""
    if file.created_by is None or not file.created_by.is_active:
        return None
    return in_team(Principal.of_user(file.created_by), file.team)
