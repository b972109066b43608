"""Addresses of copy's pages, below `/copy/`."""

from __future__ import annotations

from django.urls import path

from syncs.copy.views.files import FilePage
from syncs.copy.views.history import HistoryPage
from syncs.copy.views.importing import ImportPage
from syncs.copy.views.plan import PlanFile, PlanPage
from syncs.copy.views.rules import ExportPage, RulesPage
from syncs.copy.views.settings import RunsPage, SettingsPage, StartRun
from syncs.copy.views.text import VersionsPage, YamlPage
from syncs.copy.views.workbench import FolderPart, PreviewPart, Workbench

urlpatterns = [
    path("", RulesPage.as_view(), name="copy"),
    path("history/", HistoryPage.as_view(), name="copy_history"),
    path("import/", ImportPage.as_view(), name="copy_import"),
    path("workflows.yaml", ExportPage.as_view(), name="copy_export"),
    path("new/", Workbench.as_view(), name="copy_new"),
    path("new/yaml/", YamlPage.as_view(), name="copy_new_yaml"),
    path("new/preview/", PreviewPart.as_view(), name="copy_new_preview"),
    path("new/folder/", FolderPart.as_view(), name="copy_new_folder"),
    path("<uuid:job_id>/", Workbench.as_view(), name="copy_rule"),
    path("<uuid:job_id>/yaml/", YamlPage.as_view(), name="copy_yaml"),
    path("<uuid:job_id>/preview/", PreviewPart.as_view(), name="copy_preview"),
    path("<uuid:job_id>/folder/", FolderPart.as_view(), name="copy_folder"),
    path("<uuid:job_id>/versions/", VersionsPage.as_view(), name="copy_versions"),
    path("<uuid:job_id>/plan/", PlanPage.as_view(), name="copy_plan"),
    path("<uuid:job_id>/plan/<int:target_id>/", PlanFile.as_view(), name="copy_plan_file"),
    path("files/<uuid:file_id>/", FilePage.as_view(), name="copy_file"),
    path("<uuid:job_id>/runs/", RunsPage.as_view(), name="copy_runs"),
    path("<uuid:job_id>/start/", StartRun.as_view(), name="copy_start"),
    path("<uuid:job_id>/settings/", SettingsPage.as_view(), name="copy_settings"),
]
