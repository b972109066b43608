"""Copiers' files in the API: checking one, importing it, its versions, reading it again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import visible_to
from opssight.api.views import Door, ResourceViewSet
from opssight.core.errors import Conflict, InvalidInput, PermanentFailure
from repos.beside import Answer
from syncs.copy.api.rules import VersionIn
from syncs.copy.files import following as config_files
from syncs.copy.files.asked import asked_repository, asked_texts, repository_of
from syncs.copy.files.following import Location
from syncs.copy.files.given import Given
from syncs.copy.formats import load
from syncs.copy.models import ConfigFile, ConfigVersion

WAIT = 10.0  # seconds that a request waits for a git server
_TEXTS = serializers.DictField(
    child=serializers.CharField(max_length=1_000_000, trim_whitespace=False, allow_blank=True),
    required=False,
    help_text="Texts by their paths, the file and what it refers to; for a file that no repository keeps.",
)


class ConfigProblem(serializers.Serializer[Any]):
    where = serializers.CharField()
    message = serializers.CharField()


class ConfigFileOut(serializers.ModelSerializer[ConfigFile]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    repository = serializers.UUIDField(source="repository_id", allow_null=True, read_only=True)
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    problems = serializers.SerializerMethodField(help_text="Why the newest file is not in force.")
    rules = serializers.SerializerMethodField(help_text="The copy jobs that it makes.")

    @extend_schema_field(ConfigProblem(many=True))
    def get_problems(self, file: ConfigFile) -> list[dict[str, str]]:
        return _problems(file.problems)

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_rules(self, file: ConfigFile) -> list[str]:
        return list(file.version.jobs) if file.version else []

    class Meta:
        model = ConfigFile
        fields = [
            "id", "team", "name", "repository", "branch", "path", "mode", "version", "sentence", "problems",
            "rules", "seen_oid", "checked_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ConfigFileIn(serializers.Serializer[Any]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    name = serializers.CharField(max_length=60)
    mode = serializers.ChoiceField(ConfigFile.Mode.choices, default="shadow")
    repository = serializers.CharField(required=False, max_length=400, help_text="Its full name.")
    branch = serializers.CharField(required=False, max_length=255, default="")
    path = serializers.CharField(required=False, max_length=1_000)
    texts = _TEXTS
    source_repository = serializers.CharField(  # what `source` means to a serializer is something else
        required=False, max_length=300, help_text="What a file that names no source copies from."
    )
    source_branch = serializers.CharField(required=False, max_length=255, default="main")


class ConfigFileChange(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(ConfigFile.Mode.choices, required=False)
    texts = _TEXTS
    note = serializers.CharField(default="", allow_blank=True, max_length=300)


class ConfigVersionOut(serializers.ModelSerializer[ConfigVersion]):
    by = serializers.CharField(source="created_by.email", default=None, read_only=True)
    texts = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        read_only=True,
        help_text="Repository, branch, path and text of the file, then of each that it refers to.",
    )

    class Meta:
        model = ConfigVersion
        fields = ["number", "format", "oid", "note", "by", "created_at", "texts"]
        read_only_fields = fields


class ValidateIn(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=1_000_000, trim_whitespace=False, help_text="YAML or JSON.")


class ValidateOut(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    format = serializers.CharField()
    rules = serializers.IntegerField()
    errors = ConfigProblem(many=True)  # type: ignore[assignment]
    warnings = ConfigProblem(many=True)


class ValidateView(Door):
    """Check the configuration file of a copier. Nothing is saved."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_validate", request=ValidateIn, responses=ValidateOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        loaded = load(self.read(ValidateIn)["text"])
        return Response(
            {
                "valid": not loaded.errors,
                "format": loaded.format,
                "rules": loaded.rules,
                "errors": _problems(loaded.errors),
                "warnings": _problems(loaded.warnings),
            }
        )


@extend_schema(tags=["copy"])
class FileViewSet(ResourceViewSet):
    """Copiers' files that rules are made from."""

    area = "jobs"
    model = ConfigFile
    serializer_class = ConfigFileOut
    sort_fields = {"name": "name"}
    roles = dict.fromkeys(("create", "partial_update", "destroy", "reload", "roll_back"), Role.OPERATOR)

    def rows(self) -> QuerySet[ConfigFile]:
        rows = visible_to(ConfigFile.objects.all(), self.principal)
        return rows.select_related("version", "repository", "team")

    @extend_schema(request=ConfigFileIn, responses={201: ConfigFileOut})
    def create(self, request: Request) -> Response:
        """Import a file, from a repository or as texts; its rules are made at once."""
        given = self.read(ConfigFileIn)
        team = self.team_for(Role.OPERATOR, given.get("team"))
        source = None
        if given.get("source_repository"):
            source = (given["source_repository"], given["source_branch"])
        if given.get("repository"):
            row = repository_of(self.principal, team, given["repository"])
            branch, path = given["branch"] or row.default_branch or "main", given.get("path", "")
            if not path:
                raise InvalidInput("Name the path of the file.", [("path", "Name the path of the file.")])
            answer = asked_repository(self.principal, team, row, branch, path, wait=WAIT)
            place = Location(row, branch, path)
        else:
            answer = self._asked_texts(team, given.get("texts") or {}, source)
            place = Location(source=source or ("", ""))
        mode = ConfigFile.Mode(given["mode"])
        file = config_files.create(self.principal, team, given["name"], _ready(answer), place, mode)
        return self.shown(self.get_queryset().get(pk=file.pk), 201)

    @extend_schema(request=ConfigFileChange, responses=ConfigFileOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Set what its rules do, or give a pasted file new texts."""
        file: ConfigFile = self.get_object()
        given = self.read(ConfigFileChange)
        if given.get("texts"):
            source = (file.source_name, file.source_branch) if file.source_name else None
            answer = self._asked_texts(file.team, given["texts"], source)
            file = config_files.change(self.principal, file, _ready(answer), given["note"])
        if "mode" in given:
            config_files.set_mode(self.principal, file, ConfigFile.Mode(given["mode"]))
        return self.shown(self.get_object())

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Delete a file with its versions and its rules."""
        config_files.delete(self.principal, self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses={202: ConfigFileOut})
    @action(detail=True, methods=["post"])
    def reload(self, request: Request, pk: uuid.UUID) -> Response:
        """Have it read again within seconds."""
        config_files.look_again(self.principal, self.get_object())
        return self.shown(self.get_object(), 202)

    @extend_schema(request=VersionIn, responses=ConfigFileOut)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: uuid.UUID) -> Response:
        """Put what an earlier version says in force again."""
        config_files.roll_back(self.principal, self.get_object(), self.read(VersionIn)["version"])
        return self.shown(self.get_object())

    @extend_schema(responses=ConfigVersionOut(many=True))
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, pk: uuid.UUID) -> Response:
        """Everything the file ever said, newest first."""
        return self.page(self.get_object().versions.select_related("created_by"), ConfigVersionOut)

    def _asked_texts(
        self, team: Team, texts: dict[str, str], source: tuple[str, str] | None
    ) -> Answer[Given]:
        return asked_texts(self.principal, team, texts, source, wait=WAIT)


def _problems(found: Iterable[Sequence[str]]) -> list[dict[str, str]]:
    """As `ConfigProblem` says it."""
    return [{"where": where, "message": message} for where, message in found]


def _ready(answer: Answer[Given]) -> Given:
    """What was read. Conflict while it is on its way."""
    if answer.value is not None:
        return answer.value
    if answer.pending:
        raise Conflict("The file is being read. Send the same request again in a moment.")
    raise PermanentFailure(answer.sentence)
