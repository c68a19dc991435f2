"""What the authenticity of a fill means to a photographer: a level and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEFT = "left"  # key of the share of the hole that was left as it was, beside those of the authenticity classes
PHOTOGRAPHED = "photographed"
MOSTLY_PHOTOGRAPHED = "mostly photographed"
PARTLY_GENERATED = "partly generated: check it"
MOSTLY_GENERATED = "mostly generated: look closely"
MOSTLY_LEFT = "mostly left as it was: look closely"
UNCHANGED = "left as it was: nothing is filled"
_TO_BE_LOOKED_AT = (MOSTLY_GENERATED, MOSTLY_LEFT, UNCHANGED)


@dataclass(frozen=True)
class VerdictSettings:
    """Which score of authenticity, over the filled part, each level needs; below the last is the lowest one.

    Attributes:
        photographed: Least score of "photographed", 0 to 1. Set by hand: what is left is a thread at seams and rims.
        mostly_photographed: Least score of "mostly photographed". Set by hand.
        partly_generated: Least score of "partly generated". Set by hand: with less, most of the fill is generated.
        mostly_left: Share of the hole beyond which "mostly left as it was" says more than the level of the rest.
    """

    photographed: float = 0.9
    mostly_photographed: float = 0.7
    partly_generated: float = 0.5
    mostly_left: float = 0.5


@dataclass(frozen=True)
class Verdict:
    """How far a fill can be believed.

    Attributes:
        level: "photographed", "mostly photographed", "partly generated: check it", "mostly generated: look closely",
            "mostly left as it was: look closely", or "left as it was: nothing is filled".
        sentence: The same with figures, in one or two sentences.
    """

    level: str
    sentence: str

    @property
    def to_be_looked_at(self) -> bool:
        """Whether a person has to look at the photo before it is used."""
        return is_to_be_looked_at(self.level)


def judge_authenticity(shares: Mapping[str, float], settings: VerdictSettings = VerdictSettings()) -> Verdict:
    """Judge a fill by its authenticity.

    Args:
        shares: Shares of the hole by the keys of the authenticity classes, and of what was left as it was, if
            anything was; and "score". See `compositing.authenticity_map`. 0 to 1.
        settings: Limits of the levels.
    """
    left = shares.get(LEFT, 0.0)
    if left >= 1:
        return Verdict(UNCHANGED, "Nothing is filled: no reference shows any of the hole for certain.")
    filled = round(1 - left, 4)  # as the shares are rounded: 1 - 0.2829 is not quite 0.7171
    level = _choose_level(shares["score"] / filled, settings)
    sentence = _describe_fill(level, shares["reference_pixel"] / filled) + _describe_left(left)
    return Verdict(MOSTLY_LEFT if left > settings.mostly_left else level, sentence)


def read_verdict(provenance: Mapping[str, Any]) -> Verdict:
    """The verdict in a provenance; an empty one where that was written by a version that gave none."""
    return Verdict(**provenance.get("verdict") or {"level": "", "sentence": ""})


def is_to_be_looked_at(level: str) -> bool:
    """Whether a photo of this level has to be looked at by a person."""
    return level in _TO_BE_LOOKED_AT


def _choose_level(score: float, settings: VerdictSettings) -> str:
    if score >= settings.photographed:
        return PHOTOGRAPHED
    if score >= settings.mostly_photographed:
        return MOSTLY_PHOTOGRAPHED
    return PARTLY_GENERATED if score >= settings.partly_generated else MOSTLY_GENERATED


def _describe_fill(level: str, photographed: float) -> str:
    percent, rest = _percent(photographed), _percent(1 - photographed)
    match level:
        case "photographed" if rest == 0:
            return "Every filled pixel is photographed."
        case "photographed":
            return f"Photographed: {percent} % of the filled part are pixels of the references."
        case "mostly photographed":
            return f"Mostly photographed: {percent} % of the filled part are pixels of the references, not the rest."
        case "partly generated: check it":
            return f"Partly generated or uncertain: {rest} % of the filled part. Check it."
    return f"Mostly generated or uncertain: {rest} % of the filled part. Look closely."


def _describe_left(left: float) -> str:
    return f" {_percent(left)} % of the hole is left as it was: no reference shows it for certain." if left else ""


def _percent(share: float) -> int:
    """A share in percent, rounded, but neither 0 nor 100 where it is not exactly that."""
    return max(1, min(99, math.floor(100 * share + 0.5))) if 0 < share < 1 else round(100 * share)
