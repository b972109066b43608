"""What copy keeps beside the job's versions: its source, its targets, and how far each target is."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from repos.models import Repository
from syncs.models import Job


class CopyRule(models.Model):
    """The queryable half of a copy job; the rules themselves are in the job's version."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="copy_rule")
    source = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="copied_by")
    source_branch = models.CharField(max_length=255)

    def __str__(self) -> str:
        return str(self.job_id)


class CopyTarget(models.Model):
    """A branch of a repository that a copy rule writes to."""

    rule = models.ForeignKey(CopyRule, on_delete=models.CASCADE, related_name="targets")
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="copied_from")
    branch = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "repository", "branch"], name="copytarget_unique")
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.branch}"


class CopyState(models.Model):
    """How far a target is: the source commit it holds, and the commit we pushed for it."""

    target = models.OneToOneField(
        CopyTarget, on_delete=models.CASCADE, primary_key=True, related_name="state"
    )
    source_oid = models.CharField(max_length=64)
    pushed_oid = models.CharField(max_length=64, blank=True)  # empty: the target needed nothing
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(source_oid=""), name="copystate_has_source")]

    def __str__(self) -> str:
        return f"{self.target_id} at {self.source_oid[:8]}"
