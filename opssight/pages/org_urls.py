"""Addresses of the team's pages: members, tokens, notices, the audit log; and of one's own account."""

from __future__ import annotations

from django.urls import path

from opssight.pages import account, audit, notices, team, tokens

urlpatterns = [
    path("team/", team.TeamHome.as_view(), name="team"),
    path("team/new/", team.NewTeam.as_view(), name="team_new"),
    path("team/name/", team.Rename.as_view(), name="team_rename"),
    path("team/invite/", team.Invite.as_view(), name="team_invite"),
    path("team/invitations/<uuid:pk>/withdraw/", team.Withdraw.as_view(), name="team_withdraw"),
    path("team/members/<uuid:user_id>/role/", team.ChangeRole.as_view(), name="team_role"),
    path("team/members/<uuid:user_id>/remove/", team.Remove.as_view(), name="team_remove"),
    path("tokens/", tokens.TokensPage.as_view(), name="tokens"),
    path("tokens/<uuid:pk>/revoke/", tokens.Revoke.as_view(), name="token_revoke"),
    path("notices/", notices.NoticesPage.as_view(), name="notices"),
    path("notices/new/<slug:scheme>/", notices.ChannelPage.as_view(), name="channel_new"),
    path("notices/<uuid:pk>/", notices.ChannelPage.as_view(), name="channel"),
    path("notices/<uuid:pk>/test/", notices.TestChannel.as_view(), name="channel_test"),
    path("notices/<uuid:pk>/switch/", notices.SwitchChannel.as_view(), name="channel_switch"),
    path("notices/<uuid:pk>/delete/", notices.DeleteChannel.as_view(), name="channel_delete"),
    path("audit/", audit.AuditPage.as_view(), name="audit"),
    path("audit/verify/", audit.Verify.as_view(), name="audit_verify"),
    path("audit/anchor/", audit.ExportAnchor.as_view(), name="audit_anchor"),
    path("accounts/", account.AccountPage.as_view(), name="account"),
    path("accounts/invitation/", account.InvitationPage.as_view(), name="invitation"),
    path("accounts/invitation/<str:secret>/", account.open_invitation, name="invitation_open"),
]
