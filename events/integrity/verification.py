"""Verification that the sealed events have not changed."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from events.exceptions import BrokenSeal
from events.models import Event, Seal

from .numbers import verify_numbers
from .seals import MARK_BYTES, MAX_SEALED_EVENTS, EventDigest, StoreDigest, event_digests, newest_digest

_SEALS_A_PAGE: Final = 200


class Verification:
    """One verification of events and seals, in the order of positions.

    Attributes:
        seals: the number of seals that match so far.
        events: the number of events that they cover.
        digest: the digest of all events that were read so far.
    """

    def __init__(self, using: str, *, begin: int = 0, against: StoreDigest | None = None) -> None:
        """
        Args:
            begin: leave out the seals before the one that covers this position, and trust their digest.
            against: a digest that was kept elsewhere. With it, the verification begins at the first event. It also
                detects forged seals, and a store that has lost its last events and their seals.
        """
        self.seals = self.events = 0
        self.digest = StoreDigest()
        self._using, self._against = using, against
        if begin and not against:
            first = Seal.objects.using(using).filter(position__gte=begin).order_by("position").first()
            self.digest = StoreDigest(first.after, bytes(first.previous)) if first else newest_digest(using)
        self._begin = self.digest.position

    def run(self) -> Iterator[None]:
        """Verify the events of one seal in each step, and then the numbers of all events.

        Raises:
            BrokenSeal: an event differs, a seal does not match, or a number cannot exist; the error names the first.
        """
        self._verify_first_seal()
        for seal in self._seals():
            self._verify(seal)
            yield
        yield from self._verify_beyond_seals()
        verify_numbers(self._using, after=self._begin)
        yield

    def _verify_first_seal(self) -> None:
        """Raise if there is a seal before the first event, which the other steps would pass over."""
        first = Seal.objects.using(self._using).filter(position__lt=1).values_list("position", flat=True).first()
        if first is not None:
            raise BrokenSeal(first, f"there is a seal at position {first}, but positions begin at 1: it was inserted")

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
                " were removed, inserted or changed",
            )
        # A constant limit: a forged seal must not decide how much is read.
        events = event_digests(seal.after, seal.position, MAX_SEALED_EVENTS + 1, self._using)
        after = self.digest.followed_by(events)
        if (after.position, after.value, len(events)) != (seal.position, bytes(seal.digest), seal.events):
            raise self._first_mismatch(seal, events)
        self._compare_within(events)
        self.digest = after
        self.seals += 1
        self.events += len(events)

    def _first_mismatch(self, seal: Seal, events: Sequence[EventDigest]) -> BrokenSeal:
        """Return the error that names the first event that does not match its seal."""
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
                    f"after position {before} a sealed event is missing",
                )
            elif not mark or mark in found[place + 1 :]:
                return BrokenSeal(event.position, f"{self._named(event)} was inserted after the sealing")
            else:
                return BrokenSeal(event.position, f"{self._named(event)} differs from the sealed event")
        return BrokenSeal(
            seal.position, f"the seal up to position {seal.position} was changed; its events match their marks in it"
        )

    def _named(self, digest: EventDigest) -> str:
        # Without its content: it may be large, and Python may be unable to represent it. And several events may have
        # the position.
        events = Event.objects.using(self._using).headings().filter(position=digest.position)
        found = events.values_list("type", "version", "aggregate_id").first()
        event_type, version, aggregate_id = found or ("removed meanwhile", "?", "?")
        return f"the event at position {digest.position} ({event_type}, version {version} of {aggregate_id})"

    def _verify_beyond_seals(self) -> Iterator[None]:
        """Verify the events from the last seal to the position of the digest that was kept elsewhere."""
        while self._against and self.digest.position < self._against.position:
            events = event_digests(self.digest.position, self._against.position, MAX_SEALED_EVENTS, self._using)
            if not events:
                raise BrokenSeal(
                    self.digest.position,
                    f"the store ends at position {self.digest.position}, and the digest is of position"
                    f" {self._against.position}: the last events were removed, or this is an older copy, or another"
                    " store",
                )
            self._compare_within(events)
            self.digest = self.digest.followed_by(events)
            self.events += len(events)
            yield

    def _compare_within(self, events: Sequence[EventDigest]) -> None:
        """Compare with the digest that was kept elsewhere, if its position is among these events."""
        against = self._against
        if not (against and events and self.digest.position < against.position <= events[-1].position):
            return
        if self.digest.followed_by(event for event in events if event.position <= against.position) != against:
            raise BrokenSeal(
                against.position,
                f"the events up to position {against.position} do not match the digest that was kept elsewhere; if the"
                " seals match, they were forged",
            )
