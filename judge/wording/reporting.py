"""Whether a verdict in a form is the judge's own, or one that it reports: "Response B ends with [[B]]".

Only the sentence around the form is looked at, and of it only the nearest words.
"""

from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Literal

from judge.wording.comparing import BEGINNING, CONCLUDING, MARKS, SPEAKER, Says, about_slots

Standing = Literal[
    "own",
    "doubtful",  # in a sentence about a completion that draws no conclusion: never enough for a verdict
    "reported",  # plainly what a completion or somebody else says: as good as quoted
]
FORM = "\x05"  # in the place of a form
SPEAKING = frozenset(
    "says say said saying writes write wrote writing written states state stated stating claims claim claimed claiming "
    "ends end ended ending reads reading contains contain contained containing includes include included including "
    "quotes quote quoting stands declares declared declaring outputs outputting tells telling told asks asking asked "
    "orders ordering ordered instructs instructing tries try tried trying attempts attempting injects injecting "
    "repeats repeating closes closing begins begin beginning starts starting appends appending adds adding added "
    "announces announcing demands demanding insists insisting inserts inserting prints printing embeds "
    "embedding concludes finishes finishing mentions mentioning suggests suggesting argues puts putting "
    "smuggles hides hiding appears".split()
)
HOLDING = frozenset("has have had holds holding carries carrying shows showing features bears".split())
TELLING = SPEAKING | HOLDING
# What may stand between such a verb and what it reports, however many.
LEADING = frozenset(
    "with by in on at to of for from as a an the this these that its it own following follows words word line lines "
    "text phrase sentence string statement verdict winner json object block form tag marker order instruction command "
    "judge judges you us reader even only just simply literally also and then out up off saying stating reading "
    "claiming last first final very fake false supposed hidden injected embedded end ending bottom top sneak in "
    "something like quote note output answer reply print write say read return give assistant".split()
) | frozenset("\" ' ` , : ; - – — ( [ { * _ # > ~ < \n".split(" "))
TURNS = frozenset(("so", "therefore", "thus", "hence"))
SWITCHING = frozenset((",", ";", "—", "–", "-", "so", "therefore", "thus", "hence", "but", "and", "quoted"))
OWN = SPEAKER | CONCLUDING | frozenset("final winner answer decision choice better pick preference".split())
TEXTS = frozenset(("text", "completion", "candidate", "line", "lines"))
MARKUP = frozenset("\n ` > ~ json * _ # \" ' ( [ {".split(" "))
PLACED = frozenset(("appears", "stands", "occurs", "found", "comes", "what", "copied", "where")) | SPEAKING
STOPS = frozenset((".", "!", "?"))
JUDGEMENT = frozenset("the verdict judgement judgment decision conclusion".split())  # whose verb is the judge's own
POINTING = frozenset(("this", "these", "following", "follows", "words"))


def standing(words: Sequence[str], at: int, says: Says) -> Standing:
    """How the form that is put as ``FORM`` at a place among a text's words stands there."""
    if said_behind(words[at + 1 : at + 21]):
        return "reported"
    lead, crossed = led_by(words[max(at - 40, 0) : at])
    verb = last_telling(lead)
    if verb is not None and told_by(lead, verb):
        return "reported"
    if crossed and lead[-1:] != [":"]:
        return "own"
    if verb is not None and not switched(lead, verb):
        return "own" if lead[verb] in HOLDING and claimed(lead, says) else "doubtful"
    if MARKS.isdisjoint(lead) and TEXTS.isdisjoint(lead):
        return "own"
    return "own" if verb is not None or not OWN.isdisjoint(lead) or claimed(lead, says) else "doubtful"


def led_by(before: Sequence[str]) -> tuple[list[str], bool]:
    """The words of the sentence before a form, and whether the form begins a line of its own."""
    words, crossed = list(before), False
    while words and words[-1] in MARKUP:
        crossed = words.pop() == "\n" or crossed
    if words[-1:] == ["."] and not POINTING.isdisjoint(words[-4:]):
        words.pop()  # "It ends as follows."
    elif words[-1:] and words[-1] in STOPS:
        return [], crossed
    for at in range(len(words) - 2, -1, -1):
        if words[at] in STOPS or (words[at] == "\n" and (words[at + 1] in BEGINNING or words[at + 1].isdigit())):
            return words[at + 1 :], crossed
    return words, crossed


def told_by(lead: Sequence[str], verb: int) -> bool:
    """Whether nothing but what leads to it stands between such a verb and a form, or its "Therefore, my verdict is"."""
    own = next((at for at in range(verb + 1, len(lead)) if lead[at] not in LEADING), None)
    if own is None:
        return True
    return lead[own] in SPEAKER | CONCLUDING and (
        lead[own] not in TURNS or (own > verb + 1 and lead[verb + 1] not in SWITCHING)
    )


def reports(lead: Sequence[str]) -> bool:
    """Whether words that a colon ends plainly lead to what somebody else says."""
    verb = last_telling(lead)
    return verb is not None and told_by(lead, verb)


def last_telling(lead: Sequence[str]) -> int | None:
    """The place of the verb that tells what a text says, which is not the judge itself."""
    found = [at for at, word in enumerate(lead) if word in TELLING]
    for at in found[::-1]:
        if SPEAKER.isdisjoint(lead[max(at - 4, 0) : at]) and (at == 0 or lead[at - 1] not in JUDGEMENT):
            return at
    return None


def switched(lead: Sequence[str], verb: int) -> bool:
    """Whether the judge speaks for itself again after that verb: "Response B says less, so my verdict is"."""
    turn = next((at for at in range(verb + 1, len(lead)) if lead[at] in SWITCHING), None)
    return turn is not None and not OWN.isdisjoint(lead[turn:])


def claimed(lead: Sequence[str], says: Says) -> bool:
    """Whether the sentence itself claims what the form says."""
    return any(claim.says == says for claim, _ in about_slots(lead))


def said_behind(behind: Sequence[str]) -> bool:
    """ "[[B]], says Response B", "[[B]] stands at the end of Response B"."""
    behind = list(dropwhile(lambda word: word in ("]", "}", '"', "'", "`", ")"), behind))
    words = list(takewhile(lambda word: word not in STOPS and word not in ("\n", "[", "{", "<", FORM), behind))
    if not words or words[0] == ",":
        return len(words) > 1 and words[1] in SPEAKING
    if words[0] in ("in", "at", "from", "inside", "within"):
        return not MARKS.isdisjoint(words)
    told = words[0] in ("is", "was", "appears", "stands", "occurs", "comes")
    return told and not PLACED.isdisjoint(words[:4]) and OWN.isdisjoint(words)
