"""Verifying: whether the events are those that were sealed."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from events.exceptions import BrokenSeal
from events.models import Event, Seal

from .seals import MARK_BYTES, MAX_SEALED_EVENTS, EventDigest, StoreDigest, event_digests, newest_digest

_SEALS_A_PAGE: Final = 200


class Verification:
    """One walk over events and seals, in the order of positions.

    Attributes:
        seals: how many have been found to fit.
        events: how many events they cover.
        digest: that of all events up to the last one looked at.
    """

    def __init__(self, using: str, *, begin: int = 0, against: StoreDigest | None = None) -> None:
        """
        Args:
            begin: leave out the seals before the one that covers this position. The digest that they came to is then
                taken for granted.
            against: a digest kept elsewhere. With it, the walk begins at the first event, and also finds seals that
                were written anew to fit, and a store whose end is gone with its seals.
        """
        self.seals = self.events = 0
        self.digest = StoreDigest()
        self._using, self._against = using, against
        if begin and not against:
            first = Seal.objects.using(using).filter(position__gte=begin).order_by("position").first()
            self.digest = StoreDigest(first.after, bytes(first.previous)) if first else newest_digest(using)

    def run(self) -> Iterator[None]:
        """Verify, a stretch at each step.

        Raises:
            BrokenSeal: naming the first event, or else seal, that does not fit.
        """
        for seal in self._seals():
            self._verify(seal)
            yield
        yield from self._up_to_the_digest_kept_elsewhere()

    def _seals(self) -> Iterator[Seal]:
        while True:
            seals = Seal.objects.using(self._using).filter(position__gt=self.digest.position).order_by("position")
            page = list(seals[:_SEALS_A_PAGE])
            yield from page
            if len(page) < _SEALS_A_PAGE:
                return

    def _verify(self, seal: Seal) -> None:
        if (seal.after, bytes(seal.previous)) != (self.digest.position, self.digest.value):
            raise BrokenSeal(
                seal.position,
                f"the seal up to position {seal.position} does not follow the one up to {self.digest.position}: seals"
                " were removed, slipped in or changed",
            )
        # One more than it says: a seal is not to decide how much is read.
        events = event_digests(seal.after, seal.position, MAX_SEALED_EVENTS + 1, self._using)
        after = self.digest.followed_by(events)
        if (after.position, after.value, len(events)) != (seal.position, bytes(seal.digest), seal.events):
            raise self._first_fault(seal, events)
        self._compare_within(events)
        self.digest = after
        self.seals += 1
        self.events += len(events)

    def _first_fault(self, seal: Seal, events: Sequence[EventDigest]) -> BrokenSeal:
        """Return which event of a seal that does not fit is the one."""
        kept = bytes(seal.marks)
        sealed = [kept[place : place + MARK_BYTES] for place in range(0, len(kept), MARK_BYTES)]
        found = [event.value[:MARK_BYTES] for event in events]
        before = seal.after
        for place, (mark, event) in enumerate(zip_longest(sealed, events)):
            if event and mark == found[place]:
                before = event.position
            elif not event or found[place] in sealed[place + 1 :]:
                return BrokenSeal(
                    before,
                    f"after position {before} an event is missing that was there when its stretch was sealed",
                )
            elif not mark or mark in found[place + 1 :]:
                return BrokenSeal(event.position, f"{self._named(event)} was not there when its stretch was sealed")
            else:
                return BrokenSeal(event.position, f"{self._named(event)} is not what was sealed")
        return BrokenSeal(
            seal.position, f"the seal up to position {seal.position} was changed; the events fit what it has of each"
        )

    def _named(self, digest: EventDigest) -> str:
        event = Event.objects.using(self._using).get(position=digest.position)
        return f"the event at position {event.position} ({event.type}, version {event.version} of {event.aggregate_id})"

    def _up_to_the_digest_kept_elsewhere(self) -> Iterator[None]:
        """Go on behind the last seal, when the digest kept elsewhere is of a position beyond it."""
        while self._against and self.digest.position < self._against.position:
            events = event_digests(self.digest.position, self._against.position, MAX_SEALED_EVENTS, self._using)
            if not events:
                raise BrokenSeal(
                    self.digest.position,
                    f"the store ends at position {self.digest.position}, and the digest is of position"
                    f" {self._against.position}: events at the end were removed, or this is an older copy, or another"
                    " store",
                )
            self._compare_within(events)
            self.digest = self.digest.followed_by(events)
            self.events += len(events)
            yield

    def _compare_within(self, events: Sequence[EventDigest]) -> None:
        """Compare with the digest kept elsewhere, where these events come to its position or beyond."""
        against = self._against
        if not (against and events and self.digest.position < against.position <= events[-1].position):
            return
        there = self.digest.followed_by(event for event in events if event.position <= against.position)
        if there != against:
            raise _other_than(against)


def _other_than(kept: StoreDigest) -> BrokenSeal:
    """Return what is wrong where the digest kept elsewhere is another, though the seals fit."""
    return BrokenSeal(
        kept.position,
        f"the events up to position {kept.position} are not those of the digest kept elsewhere; where the seals fit,"
        " they were written anew",
    )
