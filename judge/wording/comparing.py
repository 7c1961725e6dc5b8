"""What a sentence says of a completion that it names: that it is better or worse than the other.

A claim is a comparing word ("better", "worse", "prefer", "more accurate") whose subject or object is exactly
one completion; whatever is supposed, doubted, denied or reported is none. Every look around such a word ends
after a few words, so that a text takes time in proportion to its length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from judge.wording.naming import BOTH, NEITHER, ONE, OTHER, SLOTS

Says: TypeAlias = Literal["first", "second", "tie", "both bad", "both named"]
SAYS: dict[str, Says] = {ONE: "first", OTHER[ONE]: "second", BOTH: "both named", NEITHER: "tie"}
MARKS = SLOTS | {BOTH, NEITHER}
Of = Literal[
    "whole",  # "is better"
    "quality",  # "is more helpful"
    "part",  # "is more detailed", "is better in tone", "has a better ending": counts only in a conclusion
]


@dataclass(frozen=True, slots=True)
class Claim:
    says: Says
    of: Of
    concluding: bool = False  # in a sentence that draws the conclusion


BETTER = frozenset(
    "better best superior preferable preferred stronger strongest favored favoured favorite favourite winner wins won "
    "win outperforms outperformed outperform beats surpasses surpassed outshines winning chosen "
    "preference verdict decision ahead".split()
)
WORSE = frozenset("worse worst inferior weaker weakest loses loser lost".split())
CHOOSING = frozenset(
    "prefer choose chose pick select favor favour recommend choosing picking selecting go vote lean opt".split()
)
VERBS = frozenset("outperforms outperformed outperform beats surpasses surpassed outshines".split())
QUALITIES = frozenset("helpful useful accurate correct appropriate suitable effective convincing good well".split())
PARTS = frozenset(
    "accurately precise precisely detailed comprehensive thorough thoroughly concise complete informative relevant "
    "clear clearly closely engaging correctly coherent effectively honest harmless safe faithful faithfully specific "
    "natural readable reliable creative directly fully logical direct balanced nuanced polished persuasive "
    "practical".split()
)
PRAISE = QUALITIES | PARTS
# Words that may stand between a completion and what is said of the whole of it.
COPULA = frozenset(
    "is was are were be been seems seem appears appear remains would do does 's to the a an my our me this that "
    "clearly much slightly far significantly overall also simply still definitely considered deemed judged therefore "
    "thus marginally generally certainly obviously clear however ultimately by somewhat considerably substantially "
    "itself even just strictly , . : = objectively undoubtedly noticeably decidedly a bit little way so as well "
    "and it out ahead comes hence likely probably arguably only all in my opinion view i think believe "
    "should must compared contrast comparison".split()
)
WHOLE_NOUNS = tuple([noun] for noun in "response answer output completion reply".split())
GIVING = frozenset("provides provided gives gave offers offered produces produced delivers delivered has had".split())
DENYING = frozenset(
    "not no never cannot can't isn't wasn't aren't doesn't don't didn't won't wouldn't hardly neither nor lacks lack "
    "lacking fails fail without rather instead nothing nobody none n't barely".split()
)
SUPPOSING = frozenset(
    "if whether unless may might could some says said claims claimed states stated argues argued argue asserts insists "
    "users people others had can which suggests should needs need must supposedly allegedly pretends wants asks "
    "attempts tries trying would've seemingly".split()
)
CONCEDING = frozenset(("although", "though", "while", "despite", "whereas", "albeit"))
TURNING = frozenset(("but", "however", ";", "yet", "whereas", "while", "although", "though", "because", "since"))
IN_PART = frozenset("in at with when on structured organized organised written formatted if suited able".split())
LINKS = frozenset(("is", "was", "be", "goes", "being", ":", "remains"))
CONTESTS = frozenset(("wins", "won", "win", "loses", "lost"))  # "loses the reader" is of no contest
AFTER_CONTEST = frozenset(". , ! ; ) over to because since as this here overall out by against and but in".split())
PREPOSITIONS = frozenset("to unlike than over versus vs with of from in by for like".split())
TO_WHAT = frozenset("superior inferior preferable preferred".split())
SPEAKER = frozenset(("i", "we", "i'd", "i'll", "we'd", "me", "my"))
CONCLUDING = frozenset(
    "therefore overall thus hence so ultimately consequently accordingly conclude concluding conclusion summary "
    "considering finally verdict judgement judgment".split()
) | {"in conclusion", "in summary"}

BEGINNING = CONCLUDING | {"\n", "-", "#", "|", "•", "based"}  # what a line begins with that goes on with no sentence


def about_slots(words: Sequence[str]) -> Iterator[tuple[Claim, bool]]:
    """Claims whose subject or object is named, each with whether it is only conceded ("while A is better, ...")."""
    if (mark := nothing_but_a_name(words)) is not None:
        yield Claim(SAYS[mark], "whole"), False
    for at, word in enumerate(words):
        if word in CHOOSING:
            claim = chosen(words, at)
        elif word in (">", "<"):
            claim = signed(words, at)
        elif word == "as":
            claim = as_good_as(words, at)
        else:
            claim = compared(words, at)
        if claim:
            yield claim, conceded(words, at)


def nothing_but_a_name(words: Sequence[str]) -> str | None:
    """ "Therefore, Output (a)." and "B, because it is shorter"."""
    bare = [word for word in words[:12] if word not in CONCLUDING and word not in (",", ".", ":", "!", "-")]
    if len(words) <= 12 and len(bare) == 1 and bare[0] in SLOTS and words[0] in CONCLUDING:
        return bare[0]
    reason = bare[1:2] in (["because"], ["since"], ["as"], ["due"])
    return bare[0] if reason and bare[0] in SLOTS else None


def comparing(words: Sequence[str], at: int) -> tuple[int, Of, int]:
    """Whether the word at a place says better (1) or worse (-1) or nothing (0), of what, in how many words."""
    word = words[at]
    if word in BETTER or word in WORSE or (word == "choice" and at and words[at - 1] == "my"):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "best" and following.endswith("ed"):  # "is best described as"
            return 0, "part", 1
        in_part = following in IN_PART
        return (-1 if word in WORSE else 1), ("part" if in_part else "whole"), 1
    if word in ("more", "most", "less", "least") and at + 1 < len(words) and words[at + 1] in PRAISE:
        return (1 if word in ("more", "most") else -1), ("quality" if words[at + 1] in QUALITIES else "part"), 2
    return 0, "part", 1


def compared(words: Sequence[str], at: int) -> Claim | None:
    """ "A is better", "B is worse than A", "the better one is A"."""
    sign, of, width = comparing(words, at)
    if not sign:
        return None
    if words[at] in CONTESTS and not (at + 1 == len(words) or words[at + 1] in AFTER_CONTEST):
        return None
    giving = words[at + width : at + width + 1] in WHOLE_NOUNS
    subject, direct = subject_of(words, at, COPULA | GIVING if giving else COPULA)
    thing, known = thing_compared_with(words, at + width)
    if subject == "" or not known or (thing and subject == thing):
        return None
    if thing and subject in (None, OTHER[thing]):
        return towards(OTHER[thing], sign, of if direct else "part")
    if subject is None:
        named = named_after(words, at + width)
        return towards(named, sign, of) if named else None
    if not direct and width == 1 and words[at] not in ("better", "superior", "stronger"):
        return None
    return towards(subject, sign, of if direct else "part")


def towards(mark: str, sign: int, of: Of) -> Claim | None:
    """The claim that a marked completion is better, or worse. Of both or neither only "better" as a whole says much."""
    if mark in SLOTS:
        return Claim(SAYS[mark if sign > 0 else OTHER[mark]], of)
    return Claim(SAYS[mark], of) if of == "whole" and sign > 0 else None


def subject_of(words: Sequence[str], at: int, between: frozenset[str]) -> tuple[str | None, bool]:
    """The completion that the word at a place is said of, and whether with nothing but some words between them.

    None where none is named; "" where what is said is denied, supposed or reported.
    """
    blocking = DENYING | (SUPPOSING if words[at] not in ("preferred", "chosen") else SUPPOSING - {"should", "must"})
    direct, subject, place = True, None, at
    for place in range(at - 1, max(at - 14, -1), -1):
        word = words[place]
        if word in MARKS:
            if place and words[place - 1] in PREPOSITIONS:
                continue
            subject = word
            break
        if word in blocking:
            return "", False
        if word == "," and (aside := owner_of_aside(words, place)) is not None:
            subject, place = words[aside], aside
            break
        if word in TURNING or (word == "it" and words[place - 1] == ","):
            return None, True
        direct = direct and (word in between or word in PREPOSITIONS)
    if subject is None:
        return None, True
    gap = words[place + 1 : at]
    if subject in SLOTS and ("are" in gap or "were" in gap or list(words[max(place - 2, 0) : place]) == ["well", "as"]):
        return BOTH, direct or "both" in gap  # "A, and B, are better"
    return ("", False) if opened_by(words, place, blocking) else (subject, direct)


def opened_by(words: Sequence[str], place: int, blocking: frozenset[str]) -> bool:
    """Whether the clause up to a place holds a word that takes back what follows: "I doubt whether A ..."."""
    for before in range(place - 1, max(place - 9, -1), -1):
        if words[before] in blocking:
            return True
        if words[before] in (",", ":", "and") or words[before] in TURNING or words[before] in MARKS:
            break
    return False


def owner_of_aside(words: Sequence[str], end: int) -> int | None:
    """The place of the completion before an aside that a comma ends: "A, which is short, is better"."""
    for at in range(end - 1, max(end - 14, 0), -1):
        if words[at] == ",":
            joined = words[at + 1] in ("and", "or", "nor", "as")
            owned = words[at - 1] in SLOTS and (at < 2 or words[at - 2] not in PREPOSITIONS)
            return at - 1 if owned and not joined else None
        if words[at] in (";", ":", "but"):
            return None
    return None


def thing_compared_with(words: Sequence[str], after: int) -> tuple[str, bool]:
    """The completion after "than", if any; False where something else stands there ("better than expected")."""
    verb = words[after - 1] in VERBS
    for at in range(after - 1 if verb else after, min(after + 7, len(words))):
        if not verb and (words[at] in MARKS or words[at] in (",", ".", ";")):
            return "", True
        if verb or words[at] in ("than", "over", "compared") or (words[at] == "to" and words[at - 1] in TO_WHAT):
            near = [word for word in words[at + 1 : at + 5] if word in SLOTS]
            other = "other" in words[at + 1 : at + 4]
            return (near[0], True) if near else ("", other or not (verb or words[at] == "than"))
    return "", True


def named_after(words: Sequence[str], after: int) -> str | None:
    """The completion in "the better one for this prompt is A": what follows a link, with nothing else between."""
    linked = False
    for at in range(after, min(after + 14, len(words))):
        word = words[at]
        if word in MARKS:
            return word if linked else None
        if word in DENYING or word in SUPPOSING or word in (",", ".", ";"):
            return None
        linked = word in LINKS or (linked and (word in COPULA or word == "for"))
    return None


def chosen(words: Sequence[str], at: int) -> Claim | None:
    """ "I prefer A over B": what the judge itself says it takes."""
    before = words[max(at - 5, 0) : at]
    if not (at == 0 or SPEAKER.intersection(before)) or not SUPPOSING.isdisjoint(before):
        return None
    if not DENYING.isdisjoint(before[before.index(",") :] if "," in before else before):
        return None
    for place in range(at + 1, min(at + 6, len(words))):
        if words[place] in MARKS:
            following = words[place + 1] if place + 1 < len(words) else ""
            return towards(words[place], 1, "part" if following in IN_PART or following == "'s" else "whole")
        if words[place] in DENYING or words[place] in (",", ".", ";"):
            break
    return None


def signed(words: Sequence[str], at: int) -> Claim | None:
    """ "A > B", "1 << 2"."""
    after = at + 1
    while after < len(words) and words[after] == words[at] and after < at + 3:
        after += 1
    before, behind = words[at - 1] if at else "", words[after] if after < len(words) else ""
    if before not in SLOTS or behind != OTHER[before]:
        return None
    return towards(before, 1 if words[at] == ">" else -1, "whole")


def as_good_as(words: Sequence[str], at: int) -> Claim | None:
    """ "B is not as good as A" prefers A; "B is as good as A" is a tie."""
    if words[at + 2 : at + 3] != ["as"] or words[at + 1] not in PRAISE:
        return None
    near = [word for word in words[at + 3 : at + 7] if word in SLOTS]
    before = words[max(at - 5, 0) : at]
    of: Of = "whole" if words[at + 1] in ("good", "well") else "part"
    if not near or not SUPPOSING.isdisjoint(before):
        return None
    if DENYING.isdisjoint(before):
        return Claim("tie", of) if OTHER[near[0]] in before and "least" not in before else None
    return None if near[0] in before else Claim(SAYS[near[0]], of)


def conceded(words: Sequence[str], at: int) -> bool:
    """Whether the clause of a word begins with "while" or its like."""
    for place in range(at, max(at - 25, -1), -1):
        if words[place] in CONCEDING:
            return True
        if words[place] in (",", ";", "but"):
            return False
    return False
