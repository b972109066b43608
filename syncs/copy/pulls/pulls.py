"""The pull request of a target at its forge: opened, brought up to date, closed, handed over to be merged.

No database here. What a provider does not offer is left out and said in a note; where there are no pull
requests at all the branch is what a target gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from opssight.core.errors import Conflict, InvalidInput, NotFound, PermanentFailure
from repos.git.errors import TooLarge
from repos.providers.base import Provider
from repos.providers.forge import Forge, NewPull, Pull, PullChange
from repos.providers.types import Capability, PullState
from syncs.copy.pulls.branches import Held, Known, NotOurs, Offered, Proposer, Wish
from syncs.copy.rules.messages import render_body, render_message
from syncs.copy.rules.options import PullRequest
from syncs.copy.transfer.transfer import Copier, End, Message, Planner, Source

TEMPLATES: Final = (
    b".github/pull_request_template.md",
    b".github/PULL_REQUEST_TEMPLATE.md",
    b"docs/pull_request_template.md",
    b"PULL_REQUEST_TEMPLATE.md",
    b"pull_request_template.md",
)
_TITLE: Final = 250  # characters that every forge takes
_BODY: Final = 60_000
_TEMPLATE_BYTES: Final = 50_000


@dataclass(frozen=True)
class ForgeEnd:
    """Where the pull requests of a target are; `forge` is None for a server that has none."""

    forge: Forge | None
    external_id: str
    label: str

    @classmethod
    def of(cls, provider: Provider, external_id: str) -> ForgeEnd:
        offered = isinstance(provider, Forge) and Capability.PULL_REQUESTS in provider.capabilities
        return cls(provider if isinstance(provider, Forge) and offered else None, external_id, provider.label)

    def offers(self, capability: Capability) -> bool:
        return self.forge is not None and capability in self.forge.capabilities

    def pull(self, number: int) -> Pull | None:
        """As it is now; None where it is not there any more."""
        if self.forge is None:
            return None
        try:
            return self.forge.pull(self.external_id, number)
        except NotFound:
            return None

    def stop_merging(self, number: int) -> list[str]:
        """Have the forge not merge it by itself any more. Sentences that tell it; none where it would not."""
        if self.forge is None or not self.offers(Capability.AUTO_MERGE):
            return []
        try:
            stopped = self.forge.cancel_auto_merge(self.external_id, number)
        except PermanentFailure as refused:
            return [f"{self.label} may still merge it by itself. {refused.sentence} Switch that off there."]
        return [f"{self.label} was to merge it by itself; that is switched off."] if stopped else []

    def find(self, head: str, base: str) -> Pull | None:
        return self.forge.find_pull(self.external_id, head, base) if self.forge else None


@dataclass(frozen=True)
class Proposal:
    """What a target got. Without `pull` its server has no pull requests, or there is none now.

    `changed`: something was pushed, opened or closed now. `merges`: whether it is merged by us later on.
    """

    offered: Offered
    pull: Pull | None = None
    changed: bool = False
    merges: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pulls:
    """Brings branch and pull request of one target up to date.

    `forget` is called before a pull request is closed by us, so that a run that is killed
    in between does not take it for one that a person closed.
    """

    copier: Copier
    forge_end: ForgeEnd
    known: Known
    forget: Callable[[], None] = field(default=lambda: None)

    def propose(
        self, source: Source, planner: Planner, end: End, message: Message, pull: Pull | None
    ) -> Proposal:
        """`pull`: the open one, where it is known. Raises what `Proposer.propose` and the forge raise."""
        given_up: list[Pull | None] = []

        def retire() -> None:
            self.forget()
            given_up.append(pull)
            self.close(pull or self.forge_end.find(self.known.branch, end.branch))

        proposer = Proposer(self.copier)
        wish = Wish(source, planner, end, message, self.known, retire)
        try:
            offered = proposer.propose(wish)
        except Held as held:
            if pull is None or isinstance(held, NotOurs):
                raise
            raise held.with_notes(self._left_to_people(message, pull)) from None
        if offered.plan.empty:
            return self._nothing_left(proposer, offered, end, pull)
        if self.forge_end.forge is None:
            return Proposal(offered, changed=offered.moved, notes=(self._branch_only(), *_notes(offered)))
        return self._ensure(self.forge_end.forge, offered, end, message, None if given_up else pull)

    def _branch_only(self) -> str:
        return f"{self.forge_end.label} has no pull requests: the change is on branch {self.known.branch}."

    # --- opening and changing -----------------------------------------------------------------------

    def _ensure(
        self, forge: Forge, offered: Offered, end: End, message: Message, pull: Pull | None
    ) -> Proposal:
        options = message.flow.options.pull_request
        notes = list(_notes(offered))
        opened = pull is None
        if pull is None:
            pull = self._open(forge, offered, end, message, notes)
            self.copier.steps.checkpoint("pull-opened")
        elif offered.moved:
            pull = self._brought_up(forge, pull, *texts(message, offered))
            self.copier.steps.checkpoint("pull-changed")
        merges = False
        if options.auto_merge and not offered.alone:
            notes.append(
                f"It has commits of {offered.people}, so it is not merged by itself: merge it there."
            )
            notes += self._left_to_people(message, pull)
        elif options.auto_merge and (opened or offered.moved):
            merges = self._hand_over(forge, pull, options, notes)
            self.copier.steps.checkpoint("pull-handed-over")
        self.copier.steps.log("pull request", f"{end.name}: #{pull.number} {pull.url}")
        return Proposal(offered, pull, opened or offered.moved, merges, tuple(notes))

    def _open(self, forge: Forge, offered: Offered, end: End, message: Message, notes: list[str]) -> Pull:
        """Open it, or take the one that is open between the two branches already."""
        options = message.flow.options.pull_request
        title, body = texts(message, offered)
        new = NewPull(
            head=self.known.branch,
            base=end.branch,
            title=title,
            body=body,
            draft=options.draft and self._has(Capability.DRAFTS, "drafts", notes),
            labels=self._offered(options.labels, Capability.LABELS, notes),
            reviewers=self._offered(options.reviewers, Capability.REVIEWERS, notes),
            assignees=self._offered(options.assignees, Capability.ASSIGNEES, notes),
        )
        try:
            pull = forge.open_pull(self.forge_end.external_id, new)
        except (
            InvalidInput,
            Conflict,
        ) as refused:  # it may be there all the same: without somebody who is named
            found = forge.find_pull(self.forge_end.external_id, new.head, new.base)
            if found is None:
                raise
            notes.append(refused.sentence)
            pull = found
        self.copier.steps.count("pull_requests")
        return self._brought_up(forge, pull, title, body)

    def _offered(self, names: tuple[str, ...], capability: Capability, notes: list[str]) -> tuple[str, ...]:
        """The names, or none with a note where the provider cannot have them."""
        return names if names and self._has(capability, capability.value, notes) else ()

    def _has(self, capability: Capability, what: str, notes: list[str]) -> bool:
        if self.forge_end.offers(capability):
            return True
        notes.append(f"{self.forge_end.label} has no {what} for pull requests, so it goes without.")
        return False

    def _brought_up(self, forge: Forge, pull: Pull, title: str, body: str) -> Pull:
        """With these texts, asked for only where one differs."""
        change = PullChange(
            title=None if pull.title == title else title,
            body=None if _same(pull.body, body) else body,
        )
        if change == PullChange():
            return pull
        return forge.change_pull(self.forge_end.external_id, pull.number, change)

    def _hand_over(self, forge: Forge, pull: Pull, options: PullRequest, notes: list[str]) -> bool:
        """Have the forge merge it once the checks passed; True where that is left to us."""
        if options.draft and self.forge_end.offers(Capability.DRAFTS):
            notes.append("A draft is not merged by itself: mark it as ready, and merge it there.")
            return False
        if not self.forge_end.offers(Capability.AUTO_MERGE):
            return True
        try:
            forge.auto_merge(self.forge_end.external_id, pull.number, options.merge_method)
        except InvalidInput as refused:
            notes.append(refused.sentence)
            return False
        except (
            PermanentFailure,
            Conflict,
        ) as refused:  # the repository does not allow it, or nothing is required
            self.copier.steps.log(
                "merge", f"{refused.sentence} OpsSight merges it after the checks.", "warning"
            )
            return True
        return False

    def _left_to_people(self, message: Message, pull: Pull) -> list[str]:
        """Somebody else has commits on it: what was handed over while it was ours alone is taken back."""
        options = message.flow.options.pull_request
        return self.forge_end.stop_merging(pull.number) if options.auto_merge else []

    # --- closing ------------------------------------------------------------------------------------

    def _nothing_left(self, proposer: Proposer, offered: Offered, end: End, pull: Pull | None) -> Proposal:
        """The base has everything: pull request and branch go, unless somebody else has commits there."""
        if not offered.tip:
            return Proposal(offered)
        if not offered.alone:
            left = f"The branch {self.known.branch} has commits of {offered.people}, so it is left there."
            return Proposal(offered, pull, notes=(left,))
        self.forget()
        closed = self.close(
            pull or self.forge_end.find(self.known.branch, end.branch),
            f"OpsSight closed this: {end.branch} has all of it by now.",
        )
        proposer.delete(end, self.known.branch, offered.tip)
        self.copier.steps.checkpoint("branch-deleted")
        return Proposal(offered, closed, changed=True)

    def close(self, pull: Pull | None, why: str = "") -> Pull | None:
        """Close it if it is still open; as it is then."""
        forge = self.forge_end.forge
        if pull is None or forge is None:
            return None
        now = self.forge_end.pull(pull.number)
        if now is None or now.state != PullState.OPEN:
            return now
        if why and why not in now.body:
            said = PullChange(body=f"{now.body.rstrip()}\n\n---\n\n{why}".strip())
            forge.change_pull(self.forge_end.external_id, pull.number, said)
        closed = forge.close_pull(self.forge_end.external_id, pull.number)
        self.copier.steps.checkpoint("pull-closed")
        self.copier.steps.log("pull request", f"#{pull.number} is closed")
        return closed


def _notes(offered: Offered) -> list[str]:
    """What people did on the branch, and what became of it."""
    if offered.alone:
        return []
    notes = [f"The branch has commits of {offered.people}; ours is on top of them."] if offered.moved else []
    if offered.kept:
        one = len(offered.kept) == 1
        files = "1 file stays" if one else f"{len(offered.kept)} files stay"
        notes.append(f"{files} as {offered.people} made {'it' if one else 'them'} there.")
    return notes


def texts(message: Message, offered: Offered) -> tuple[str, str]:
    """Title and body of the pull request."""
    options, values = message.flow.options.pull_request, message.values(offered.plan)
    title = render_message(options.title, values) if options.title else message.words(offered.plan)
    first = " ".join(title.strip().split("\n")[0].split())[:_TITLE]
    body = render_body(options.body, values).strip()
    if options.use_template and (template := template_of(offered)):
        body = f"{template}\n\n---\n\n{body}"
    return first or f"Update files from {message.flow.source_repo}", body[:_BODY]


def template_of(offered: Offered) -> str:
    """The pull request template of the target, from its base branch; "" where it has none of use."""
    target = offered.target
    for path in TEMPLATES:
        mode, oid = target.files.get(path, ("", ""))
        if mode.startswith("100"):
            try:
                target.end.bring([oid], _TEMPLATE_BYTES)
                return target.end.store.blob(oid, _TEMPLATE_BYTES).decode("utf-8", "replace").strip()
            except TooLarge:
                return ""
    return ""


def _same(one: str, other: str) -> bool:
    """Whether texts are equal but for line endings and space at the end, which forges change."""
    return [line.rstrip() for line in one.strip().splitlines()] == [
        line.rstrip() for line in other.strip().splitlines()
    ]
