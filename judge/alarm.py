"""Is one and the same text chosen for many prompts? Then somebody has found out what the judge cannot resist.

A constant text can be preferred to real completions nearly always (Zheng et al. 2024, "Cheating Automatic
LLM Benchmarks: Null Models Achieve High Win Rates"). Two texts count as one where they begin or end alike, letter
case and blanks aside: a text with something of the prompt put before or behind it is still the same trick.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from constitution.identity import short_id

OPENING = 200  # characters that two texts must have in common, or all that they have
SHORT = 32  # characters below which a text may well be the natural completion of many prompts: "Yes."
FEWEST = 5  # prompts below which nothing is said
OFTEN = 0.01  # share of prompts from which a text is suspicious
SHORT_OFTEN = 0.5  # the same for a short text
MOST = 8192  # prompts that are remembered; 1 % of them is known to within a quarter of a percent
EXCERPT = 80


@dataclass(frozen=True, slots=True)
class RepeatedText:
    """A text that was chosen for many prompts."""

    excerpt: str  # its beginning, blanks collapsed
    prompts: int  # for how many it was chosen, of those looked at
    looked_at: int  # all prompts where there are at most ``MOST``, else a fair sample of them

    @property
    def share(self) -> float:
        return self.prompts / self.looked_at

    @property
    def warning(self) -> str:
        return (
            f"One text is chosen for {self.prompts} of {self.looked_at} prompts ({self.share:.1%}): {self.excerpt!r}. "
            "If it is neither a stock refusal nor what those prompts ask for, it exploits the judge: "
            "drop those rows, and judge them with another model under [judge]."
        )


@dataclass(slots=True)
class ChosenCount:
    """Counts over the chosen texts of a run, in flat memory; what it tells hangs on no order.

    It remembers the prompts whose hashes are the lowest: every prompt of a run of at most ``most``
    prompts, and a fair sample of a larger one.
    """

    most: int = MOST
    seen: dict[str, dict[str, str]] = field(default_factory=dict)  # a prompt's hash to texts' ends to excerpts
    limit: str = "g"  # no hash above it is among the lowest; a hexadecimal digit is below "g"

    def add(self, prompt_id: str, chosen_text: str) -> None:
        """Count a chosen text; for one prompt it counts once, however often it is chosen."""
        place = short_id("chosen", prompt_id)
        if place > self.limit:
            return
        ends = self.seen.setdefault(place, {})
        for name, excerpt in ends_of(chosen_text):
            ends[name] = min(excerpt, ends.get(name, excerpt))
        if len(self.seen) > 2 * self.most:
            self.seen = {place: self.seen[place] for place in self.lowest()}
            self.limit = max(self.seen)

    def lowest(self) -> list[str]:
        return sorted(self.seen)[: self.most]

    def told(self) -> tuple[RepeatedText, ...]:
        """The suspicious texts, the most often chosen first."""
        places = self.lowest()
        counts = Counter(end for place in places for end in self.seen[place])
        excerpts = {end: excerpt for place in places for end, excerpt in self.seen[place].items()}
        repeated = {
            excerpts[end]: RepeatedText(excerpts[end], prompts, len(places))
            for end, prompts in sorted(counts.items(), key=lambda item: item[1])  # of two ends, the one more often
            if prompts >= max(FEWEST, len(places) * (SHORT_OFTEN if len(end) < SHORT else OFTEN))
        }
        return tuple(sorted(repeated.values(), key=lambda text: (-text.prompts, text.excerpt)))


def ends_of(text: str) -> Iterator[tuple[str, str]]:
    """How a text begins and, where it is longer than that, how it ends; each with an excerpt as it was written."""
    start = " ".join(text.strip()[: 5 * OPENING].split())
    yield start.casefold()[:OPENING], start[:EXCERPT]
    if len(start) > OPENING:
        end = " ".join(text.strip()[-5 * OPENING :].split())
        yield f"… {end.casefold()[-OPENING:]}", end[-OPENING:][:EXCERPT]
