"""One batch: claim, send, judge, mark. Dying between any two of them loses nothing.

Before the claim nothing has happened; after it the lease ends and the sweep finds the
rows; what was sent and not marked is sent again under the same apns-id and collapse id.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from redis import Redis

from worker.clients import token
from worker.clients.apns import Apns, Notice, Said
from worker.clients.postgres import Connection
from worker.clients.token import SigningKey
from worker.errors import PermanentError
from worker.notifications import deliveries, names, outbox, outcomes, standing
from worker.notifications.outbox import Claimed, Mark
from worker.notifications.outcomes import Verdict
from worker.notifications.payload import Text, payload_of, text_of
from worker.policy import Policy
from worker.records import Delivery, Detail

Postgres = Callable[[str], AbstractContextManager[Connection]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """What sending needs; one a process."""

    policy: Policy
    redis: Redis
    postgres: Postgres
    apns: Apns
    key: SigningKey

    def send(self, ids: Sequence[int]) -> Detail:
        """Send what is due of these; counts by outcome.

        Raises TransientError when Apple cannot be reached: the rows are free again.
        Raises PermanentError when the configuration is at fault: all senders then
        rest for ``push.paused_s`` and the rows wait.
        """
        paused = standing.paused(self.redis)
        if paused is not None:
            return Detail(paused=paused)
        now = time.time()
        with self.postgres("sender") as db:
            given_up = outbox.give_up(db, ids, push=self.policy.push, now=now)
            claimed = outbox.claim(db, ids, policy=self.policy, now=now)
            named = names.of(
                db, (c.route_id for c in claimed), (c.stop_id for c in claimed)
            )
        deliveries.append(self.redis, self.policy, given_up)
        if not claimed:
            return Detail(claimed=0)
        texts = [text_of(each, named, self.policy.push) for each in claimed]
        said: list[Said | None] = [None] * len(claimed)
        try:
            self._exchange(claimed, texts, said)
        except BaseException as error:
            # When out of time too: what Apple has answered must not be sent again, and
            # what never left is free at once.
            self._settle(claimed, texts, said, self._judged(said))
            if isinstance(error, PermanentError):
                standing.pause(self.redis, self.policy, str(error))
            raise
        judged = self._judged(said)
        counts = self._settle(claimed, texts, said, judged)
        self._stop_if_refused(said, judged)
        return Detail(claimed=len(claimed), **counts)

    def test(self, device_token: str) -> Said:
        """Send one push to a device, whatever the outbox holds."""
        now = time.time()
        text = {"title": "It works", "body": "A test of your transit notifications."}
        notice = Notice(
            device_token=device_token,
            apns_id=str(uuid.uuid4()),
            collapse_id="test",
            expires_at=int(now) + self.policy.push.expiry_s,
            payload=json.dumps({"aps": {"alert": text, "sound": "default"}}).encode(),
        )
        provider = token.current(self.redis, self.key, self.policy.push)
        said: list[Said | None] = [None]
        self.apns.send([notice], provider.text, said)
        return said[0] or Said(status=0, reason="Unsent", at=time.time())

    def _exchange(
        self, claimed: list[Claimed], texts: list[Text], said: list[Said | None]
    ) -> None:
        """Fill ``said``; with a new provider token once, when Apple asks for one."""
        notices = [
            Notice(
                device_token=each.device_token,
                apns_id=each.apns_id,
                collapse_id=each.collapse_id,
                expires_at=int(each.expires_at),
                payload=payload_of(each, text),
            )
            for each, text in zip(claimed, texts, strict=True)
        ]
        push = self.policy.push
        provider = token.current(self.redis, self.key, push)
        self.apns.send(notices, provider.text, said)
        refused = [
            index
            for index, each in enumerate(said)
            if each is not None and outcomes.verdict(each) is Verdict.RENEW
        ]
        if refused:
            provider = token.current(self.redis, self.key, push, refused=provider)
            for index in refused:
                said[index] = None
            self.apns.send(notices, provider.text, said)

    def _settle(
        self,
        claimed: list[Claimed],
        texts: list[Text],
        said: list[Said | None],
        judged: list[Verdict | None],
    ) -> Counter[str]:
        """Mark rows and devices, say what became of them; counts by outcome."""
        now = time.time()
        marks = [
            self._mark(each, text, answer, what, now)
            for each, text, answer, what in zip(
                claimed, texts, said, judged, strict=True
            )
        ]
        with self.postgres("sender") as db:
            dead = outbox.mark(db, marks, now=now)
        final = {mark.id: mark for mark in marks if mark.state != "new"}
        deliveries.append(
            self.redis,
            self.policy,
            [_delivery(each, final[each.id]) for each in claimed if each.id in final],
        )
        counts = Counter(mark.outcome for mark in marks)
        standing.note(self.redis, self.policy, self.apns.name, judged)
        if dead:
            counts["devices_disabled"] = dead
        return counts

    def _judged(self, said: list[Said | None]) -> list[Verdict | None]:
        """What the answers mean. When Apple knows nobody the configuration is doubted
        before the phones, unless a push to this address and topic was accepted of late:
        a deploy that changed one would lose every rider at once.
        """
        doubted = outcomes.is_doubtful(said, self.policy.push) and not (
            standing.is_vouched(self.redis, self.apns.name)
        )
        return outcomes.verdicts(said, doubted=doubted)

    def _mark(
        self,
        claimed: Claimed,
        text: Text,
        said: Said | None,
        what: Verdict | None,
        now: float,
    ) -> Mark:
        if said is None:
            return Mark(
                id=claimed.id,
                attempt=claimed.attempt,
                state="new",
                outcome="unsent",
                unsent=True,
            )
        dead_since = said.dead_since if said.dead_since is not None else now
        push = self.policy.push
        waits = what in (Verdict.LATER, Verdict.RENEW, Verdict.STOP)
        return Mark(
            id=claimed.id,
            attempt=claimed.attempt,
            state="sent" if what is Verdict.SENT else "new" if waits else "failed",
            outcome=outcomes.outcome(said),
            sent_at=said.at if what is Verdict.SENT else None,
            again_in_s=float(
                min(push.retry_s * 2 ** (claimed.attempt - 1), push.retry_max_s)
            )
            if waits
            else 0.0,
            unsent=what is Verdict.STOP,
            dead_since=dead_since if what is Verdict.DEAD else None,
            title=text.title,
            body=text.body,
        )

    def _stop_if_refused(
        self, said: list[Said | None], judged: list[Verdict | None]
    ) -> None:
        """Rest and say so when Apple refuses the provider, not a push."""
        by_verdict: dict[Verdict | None, list[Said]] = {}
        for each, what in zip(said, judged, strict=True):
            if each is not None:
                by_verdict.setdefault(what, []).append(each)
        stops = by_verdict.get(Verdict.STOP, []) + by_verdict.get(Verdict.RENEW, [])
        if stops:
            first = stops[0]
            reason, check = (
                f"APNs refuses this provider: {first.status} {first.reason}",
                "APNS_KEY, APNS_KEY_ID, APNS_TEAM_ID and APNS_TOPIC",
            )
            if outcomes.verdict(first) is Verdict.DEAD:
                reason, check = (
                    f"APNs knows none of {len(stops)} devices ({first.reason}), so "
                    "none was disabled",
                    "APNS_TOPIC and APNS_BASE_URL",
                )
            standing.pause(self.redis, self.policy, reason)
            raise PermanentError(f"{reason}; check {check}")
        bugs = by_verdict.get(Verdict.BUG, [])
        if bugs:
            raise PermanentError(
                f"APNs does not take what we send: {bugs[0].status} {bugs[0].reason} "
                f"({len(bugs)} of {len(said)} notifications failed)"
            )


def _delivery(claimed: Claimed, mark: Mark) -> Delivery:
    return Delivery(
        notification_id=claimed.apns_id,
        published_at=claimed.published_at,
        matched_at=claimed.matched_at,
        sent_at=mark.sent_at,
        arrived_at=None,
        outcome=mark.outcome,
        token=claimed.device_token,
    )
