"""Decisions about the photos of albums, and the entries of the journal that they are folded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter

from realfill.core.hashing import digest_json
from realfill.core.params import Coordinate, Region
from realfill.core.validation import Section

Subject = Literal["looked", "verdict", "note", "pick", "region", "stroke", "applied", "undo"]
CHOOSING = ("pick", "region", "stroke", "undo")
"""Subjects of entries that may change what an album is to show."""
Text = Annotated[str, Field(max_length=2000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
EntryId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Number = Annotated[int, Field(ge=0)]
Points = tuple[tuple[Coordinate, Coordinate], ...]


class Seen(Section):
    """The finished photo that a verdict was given on.

    Attributes:
        photo: SHA-256 of the file.
        source: Digest of all that it was made from, except the choice of the candidate; see `digest_source`.
    """

    photo: Digest
    source: Digest


class Verdict(Section):
    """Whether a photo is to be delivered.

    Attributes:
        verdict: None takes an earlier verdict back.
        reason: Why it was rejected; may be empty.
        seen: The photo that was looked at.
    """

    verdict: Literal["approved", "rejected"] | None
    reason: Text = ""
    seen: Seen | None = None


class Pick(Section):
    """Another candidate.

    Attributes:
        candidate: Its number, or "best" to follow the ranking.
        before: What `album.yaml` had before, to which an undone pick returns.
    """

    candidate: Literal["best"] | Number
    before: Literal["best"] | Number = "best"


class Stroke(Section):
    """One change of the mask.

    Attributes:
        tool: "brush" draws a line of round ends, "polygon" fills an outline, "grow" dilates all that is masked.
        erase: Whether it keeps pixels instead of filling them; "grow" erodes then.
        radius: Of the brush, or by how much it grows, pixels.
        points: Of the line or the outline, (x, y) in pixels of the photo, not of the canvas; none for "grow".
        base: Digest of the mask that the strokes of an album start from; see `mask_edits`.
    """

    tool: Literal["brush", "polygon", "grow"]
    erase: bool = False
    radius: float = Field(0, ge=0, le=5000)
    points: Annotated[Points, Field(max_length=20_000)] = ()
    base: Digest


_VALUES: dict[Subject, TypeAdapter[Any]] = {
    "looked": TypeAdapter(Literal[True] | Digest),  # SHA-256 of the photo; earlier versions wrote True
    "verdict": TypeAdapter(Verdict),
    "note": TypeAdapter(Text),
    "pick": TypeAdapter(Pick),
    "region": TypeAdapter(Region | None),  # None takes all of them away
    "stroke": TypeAdapter(Stroke | None),
    "applied": TypeAdapter(Literal[""] | Digest),  # `Decision.choice` when it was written into the album
    "undo": TypeAdapter(EntryId),
}
assert set(_VALUES) == set(get_args(Subject))


class Entry(Section):
    """A line of the journal.

    Attributes:
        id: Random, by which a request that is sent twice counts once.
        time: UTC, ISO 8601.
        album: Name of the album.
        subject: What it is about.
        value: Depends on the subject.
    """

    id: EntryId
    time: str = Field("", max_length=40)
    album: Annotated[str, Field(min_length=1, max_length=255)]
    subject: Subject
    value: Any

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Entry:
        """Validate an entry and its value.

        Raises:
            ValidationError: Of pydantic; a ValueError.
        """
        entry = cls.model_validate(document)
        return entry.model_copy(update={"value": _VALUES[entry.subject].validate_python(entry.value)})

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON types."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Decision:
    """What has been decided about an album.

    Attributes:
        verdict: "approved", "rejected", or None where it was not decided.
        reason: Why it was rejected; may be empty.
        note: A remark; may be empty.
        looked: SHA-256 of the photo that somebody has looked at; True for whichever, empty for none.
        candidate: The candidate that was picked, or "best"; None leaves it to `album.yaml`.
        regions: Parts of the hole that show other candidates.
        strokes: Changes of the mask, in their order.
        seen: The photo that the verdict was given on, None without a verdict.
        approved_choice: `choice` when the verdict was given.
        applied: `choice` when it was written into the album last; None if none ever was.
        original: The candidate that `album.yaml` named before the first pick; None without one.
        base: Digest of the mask before the first stroke; empty if there never was one.
    """

    verdict: Literal["approved", "rejected"] | None = None
    reason: str = ""
    note: str = ""
    looked: Literal[True] | str = ""
    candidate: Literal["best"] | int | None = None
    regions: tuple[Region, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    seen: Seen | None = None
    approved_choice: str = ""
    applied: str | None = None
    original: Literal["best"] | int | None = None
    base: str = ""

    @property
    def choice(self) -> str:
        """Digest of what has to be written into the album; empty if nothing has."""
        if self.candidate is None and not self.regions and not self.strokes:
            return ""
        parts = [part.model_dump(mode="json") for part in (*self.regions, *self.strokes)]
        return digest_json([self.candidate, parts])

    @property
    def wanted_candidate(self) -> Literal["best"] | int | None:
        """The candidate that the album is to deliver; None leaves it to `album.yaml`.

        A repainted mask has new candidates, of which the best is taken.
        """
        if self.candidate is not None:
            return self.candidate
        return "best" if self.strokes else self.original

    @property
    def pending(self) -> bool:
        """Whether the choice still has to be written into the album."""
        return self.choice != (self.applied or "")

    def covers(self, provenance: Mapping[str, Any]) -> bool:
        """Whether the verdict holds for a finished photo.

        It holds for the very photo that was looked at. It also holds for one that was made from the same photos by
        the same code, and differs in nothing but the choice that the verdict was given with.

        Args:
            provenance: The document beside the photo.
        """
        if self.verdict is None or self.seen is None or self.pending:
            return False
        if provenance.get("digest") == self.seen.photo:
            return True
        is_remade = bool(self.approved_choice) and self.approved_choice == self.choice
        return is_remade and digest_source(provenance) == self.seen.source


def digest_source(provenance: Mapping[str, Any]) -> str:
    """Digest what a finished photo was made from and by, except the choice of the candidate and of regions."""
    params = dict(provenance.get("params") or {})
    params["blend"] = {
        name: value for name, value in (params.get("blend") or {}).items() if name not in ("candidate", "regions")
    }
    parts = ("inputs", "hole", "base_model", "adapter_digest", "versions")
    return digest_json([params, *(provenance.get(part) for part in parts)])


def active_entries(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that have not been undone, without those that undo; an undo can be undone itself."""
    undone: set[str] = set()
    active = []
    for entry in reversed(entries):
        if entry.id in undone:
            continue
        if entry.subject == "undo":
            undone.add(entry.value)
        else:
            active.append(entry)
    return active[::-1]


def latest_choice(entries: Sequence[Entry], album: str) -> str:
    """Id of the last entry that may have changed what an album is to show; empty where there is none."""
    chosen = (entry.id for entry in reversed(entries) if entry.album == album and entry.subject in CHOOSING)
    return next(chosen, "")


def fold(entries: Sequence[Entry]) -> dict[str, Decision]:
    """The current decision about each album that the entries name, by its name."""
    originals: dict[str, Literal["best"] | int] = {}
    bases: dict[str, str] = {}
    for entry in entries:  # also of those that were undone
        if entry.subject == "pick":
            originals.setdefault(entry.album, entry.value.before)
        if entry.subject == "stroke" and entry.value is not None:
            bases.setdefault(entry.album, entry.value.base)
    decisions = {
        album: Decision(original=originals.get(album), base=bases.get(album, ""))
        for album in sorted(originals.keys() | bases.keys())
    }
    for entry in active_entries(entries):
        decisions[entry.album] = _add(decisions.get(entry.album, Decision()), entry)
    return decisions


def _add(decision: Decision, entry: Entry) -> Decision:
    value = entry.value
    match entry.subject:
        case "verdict":
            given = {"verdict": value.verdict, "reason": value.reason, "seen": value.seen}
            return replace(decision, **given, approved_choice=decision.choice)
        case "pick":
            return replace(decision, candidate=value.candidate)
        case "region":
            return replace(decision, regions=() if value is None else (*decision.regions, value))
        case "stroke":
            strokes = () if value is None else (*decision.strokes, value)
            return replace(decision, strokes=strokes, candidate=None, regions=())  # there will be other candidates
    return replace(decision, **{entry.subject: value})
