"""What copy keeps beside the job's versions: its source, its targets, and how far each target is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.ids import uuid7
from repos.models import Repository
from syncs.models import Job


class ConfigFile(models.Model):
    """A copier's file that rules are made from: kept in a repository, or pasted here.

    `version` is what is in force. When the newest file cannot be, `sentence` and `problems` say why.
    """

    class Mode(models.TextChoices):
        """What the rules that it makes do, see `CopyRule.shadow`."""

        ENABLED = "enabled"
        SHADOW = "shadow"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="config_files")
    name = models.CharField(max_length=60)
    repository = models.ForeignKey(
        Repository, on_delete=models.PROTECT, null=True, blank=True, related_name="config_files"
    )
    branch = models.CharField(max_length=255, blank=True)
    path = models.CharField(max_length=1000, blank=True)
    # what it copies from where a pasted file names no source
    source_name = models.CharField(max_length=300, blank=True)
    source_branch = models.CharField(max_length=255, blank=True)
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.SHADOW)
    version = models.ForeignKey(
        "ConfigVersion", on_delete=models.RESTRICT, null=True, blank=True, related_name="+"
    )
    sentence = models.TextField(blank=True)
    problems = models.JSONField(default=list, blank=True)  # [where, message]
    seen_oid = models.CharField(max_length=64, blank=True)  # the commit that was looked at last
    seen_digest = models.CharField(max_length=64, blank=True)  # of the texts that stood there
    checked_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)  # when to look next; None: never
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="configfile_name_unique")]
        indexes = [models.Index(fields=["due_at"], name="configfile_due_at")]

    def __str__(self) -> str:
        return self.name


class ConfigVersion(models.Model):
    """What a file said at one time, with every further file that it refers to. Never changed."""

    file = models.ForeignKey(ConfigFile, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    format = models.CharField(max_length=20)
    # [repository, branch, path, text]: the file itself, then those that it refers to
    texts = models.JSONField()
    oid = models.CharField(max_length=64, blank=True)  # the commit it was read at; empty: pasted
    jobs = models.JSONField(default=list)  # ids of the rules that it makes
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="configversion_unique")]

    def __str__(self) -> str:
        return f"version {self.number} of {self.file_id}"


class ConfigRead(models.Model):
    """A branch that a file, or one that it refers to, is read from: a push there has it read again."""

    file = models.ForeignKey(ConfigFile, on_delete=models.CASCADE, related_name="reads")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="read_for")
    branch = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "repository", "branch"], name="configread_unique")
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.branch}"


class CopyRule(models.Model):
    """The queryable half of a copy job; the rules themselves are in the job's version."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="copy_rule")
    source = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="copied_by")
    source_branch = models.CharField(max_length=255)
    head_oid = models.CharField(max_length=64, blank=True)  # of the branch, when a run looked last
    # plans and reports what it would do, and never writes
    shadow = models.BooleanField(default=False)
    config_file = models.ForeignKey(
        ConfigFile, on_delete=models.RESTRICT, null=True, blank=True, related_name="rules"
    )

    def __str__(self) -> str:
        return str(self.job_id)

    @property
    def head(self) -> str:
        """The newest commit of the branch that is known, "" where nobody has looked. Reads the source."""
        # webhooks and looks tell of the default branch between two runs
        heard = self.source.head_oid if self.source_branch == self.source.default_branch else ""
        return heard or self.head_oid


class CopyTarget(models.Model):
    """A branch of a repository that a copy rule writes to: by commits of its own, or by pull requests."""

    rule = models.ForeignKey(CopyRule, on_delete=models.CASCADE, related_name="targets")
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="copied_from")
    branch = models.CharField(max_length=255)
    strategy = models.CharField(max_length=20, default="direct")  # as in `options.Strategy`

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "repository", "branch", "strategy"], name="copytarget_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.branch}"


class CopyState(models.Model):
    """How far a target is: the source commit it holds, and the commit we pushed for it.

    With pull requests, `source_oid` is what was merged and `proposed_oid` what the open one (`pull_number`,
    at `pull_url`, on `pull_branch`) brings. A server without them has the branch only. Without either the
    whole tree is compared.
    """

    target = models.OneToOneField(
        CopyTarget, on_delete=models.CASCADE, primary_key=True, related_name="state"
    )
    source_oid = models.CharField(max_length=64, blank=True)  # empty: nothing was merged yet
    pushed_oid = models.CharField(max_length=64, blank=True)  # empty: the target needed nothing
    proposed_oid = models.CharField(max_length=64, blank=True)
    pull_branch = models.CharField(max_length=255, blank=True)
    pull_number = models.PositiveIntegerField(null=True, blank=True)
    pull_url = models.CharField(max_length=600, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.target_id} at {self.source_oid[:8]}"


class OwnedFile(models.Model):
    """A file of a target that the rule wrote or took over: what it was made from and what was written.

    `pending`: it stands in a pull request that is not merged yet.
    """

    target = models.ForeignKey(CopyTarget, on_delete=models.CASCADE, related_name="owned")
    path_hash = models.BinaryField(max_length=16)  # of `path`: names may be longer than an index takes
    path = models.BinaryField()
    source_path = models.BinaryField()
    source_oid = models.CharField(max_length=64)
    target_oid = models.CharField(max_length=64)
    mode = models.CharField(max_length=6)
    pending = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "path_hash", "pending"], name="ownedfile_unique")
        ]

    def __str__(self) -> str:
        return f"{bytes(self.path)!r} of {self.target_id}"
