"""What the sentences of a text claim about two completions: which of them is better, or that neither is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from judge.wording.comparing import BEGINNING, CONCEDING, CONCLUDING, MARKS, Claim, Of, Says, about_slots
from judge.wording.labels import label_of
from judge.wording.naming import BOTH, NEITHER, SLOTS, marked
from judge.wording.reporting import reports

ENDING = frozenset((":", ">", "<"))  # what no sentence goes on after in the next line
TIE = re.compile(
    r"(?:^|\b(?:therefore|so|overall|thus|hence|ultimately|in conclusion) ,? ?|"
    r"\b(?:it|this|that|result|verdict|outcome|call|declare) (?:it |is |'s |would be |ends in )?)"
    r"(?:a )?(?:tie|draw)(?= (?:between|[.,:;!]|\x03)|$)|\x03 (?:are|is) tied\b|"
    r"(?:^|\b(?:is|'s|has|was|be) )no (?:clear|overall|obvious|definite|definitive|real) (?:winner|preference)\b|"
    r"\b(?:i|we) have no preference\b|"
    r"\bequally (?:good|well|strong|valid|matched|preferable|acceptable)\b(?! (?:in|at|with|on)\b)"
)
ALIKE = re.compile(
    r"\bno (?:\w+ )?(?:difference|distinction) between\b|"
    r"\x03 (?:(?:is|are|were|seem|look|really|almost|basically|virtually|all) ){1,3}"
    r"(?:identical|the same|indistinguishable|comparable|on par)(?: \w+)?(?: [.!]| in quality|$)|"
    r"\b(?:of|in) (?:equal|comparable|the same|similar) quality\b|"
    r"\bequally (?:helpful|useful|accurate|correct|appropriate|suitable|effective|convincing)\b"
)
BOTH_BAD = re.compile(
    r"\bequally (?:bad|poor|wrong|incorrect|unhelpful|terrible|flawed)\b|"
    r"\x03 (?:(?:are|is|were|outputs|very|equally|just|so|really|simply|quite|completely|of|them) ){0,4}"
    r"(?:bad|poor|wrong|incorrect|terrible|unacceptable|unhelpful|inadequate|unsatisfactory|useless|awful)\b|"
    r"\x04 (?:(?:is|are|was|were|of|them|a|very|really|particularly) ){0,4}"
    r"(?:good|acceptable|adequate|satisfactory|correct|right|helpful|useful)\b"
)
FAILING = re.compile(
    r"\x03 (?:\w+ ){0,2}(?:fail|fails|failed)\b|"
    r"\x04 (?:\w+ ){0,2}(?:follows?|executes?|addresse?s?|answers?|meets?|works?|satisf(?:y|ies)|succeeds?)\b"
)
WITHOUT_NAMES: tuple[tuple[re.Pattern[str], Says, Of], ...] = (
    (BOTH_BAD, "both bad", "whole"),
    (TIE, "tie", "whole"),
    (FAILING, "both bad", "part"),
    (ALIKE, "tie", "quality"),
)
# How a sentence begins that is about one side of two completions, and what makes it one about the whole after all.
ASPECT = frozenset("in on for regarding concerning at with when as from".split())
ALL_IN_ALL = frozenset(
    "opinion view end balance whole all general short reason reasons these i me result answer winner note sum".split()
)
BLOCKED = re.compile(r"(?:\b(?:not|never|if|whether|no)|n't)(?: \w+){0,4} $")
TRIGGERS = frozenset("tie tied draw equal equally same similar identical comparable on no".split()) | {BOTH, NEITHER}


def claim_of(sentence: Sequence[str]) -> Claim | None:
    """What one sentence claims. A firm claim silences the others, and a main clause what it concedes."""
    if not sentence or sentence[-1] == "?":
        return None
    concluding = sentence[0] == "based" or not CONCLUDING.isdisjoint(sentence[:4])
    found = list(about_slots(sentence))
    found = [entry for entry in found if entry[0].of != "part" or concluding]
    if not found and not TRIGGERS.isdisjoint(sentence):
        found = [(claim, False) for claim in about_both(" ".join(sentence)) if claim.of != "part" or concluding]
    found = [entry for entry in found if entry[0].of == "whole"] or found
    found = [entry for entry in found if not entry[1]] or found
    if not found:
        return None
    says = {claim.says for claim, _ in found}
    return Claim(says.pop() if len(says) == 1 else "both named", found[0][0].of, concluding)


def about_both(sentence: str) -> Iterator[Claim]:
    """A claim that neither is better, or that neither is good, if a sentence makes one."""
    for pattern, says, of in WITHOUT_NAMES:
        match = pattern.search(sentence)
        if match and says == "tie" and not SLOTS.isdisjoint(sentence[: match.start()]):
            continue  # of one completion: "A sees no clear winner"
        if match and not BLOCKED.search(sentence[max(match.start() - 40, 0) : match.start()]):
            yield Claim(says, of)
            return


def sentences(words: Sequence[str]) -> Iterator[list[str]]:
    """The sentences of a text: they end at a stop, an empty line, a colon's line's end, and before a list's mark."""
    sentence: list[str] = []
    for word, following in pairwise([*words, "\n"]):
        if word == "\n":
            ends = following in BEGINNING or following.isdigit() or not ENDING.isdisjoint(sentence[-3:])
        else:
            ends = word in (".", "!", "?")
            sentence.append(word)
        if ends and sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def own_sentences(words: Sequence[str]) -> Iterator[list[str]]:
    """The sentences but those that a colon makes another's words: "Response B ends with: B is better"."""
    telling = False
    for sentence in sentences(words):
        colon = telling_colon(sentence)
        tells = colon > 0
        if not (telling or tells):
            yield sentence
        elif telling and sentence[-1] == "." and sentence[0].isdigit() and len(sentence) == 2:
            continue  # a list's mark
        telling = tells and not any(word.isalnum() or word in MARKS for word in sentence[colon:])


def telling_colon(sentence: Sequence[str]) -> int:
    """The place of the colon behind which another's words stand; 0 where none is, or they are taken out already."""
    for at, word in enumerate(sentence):
        if word == ":" and sentence[at + 1 : at + 2] != ["quoted"] and reports(sentence[max(at - 40, 0) : at]):
            return at
    return 0


def claims_in(text: str) -> list[Claim]:
    """What the sentences claim, in their order; a first line that is only a label claims it, too."""
    return first_line(text) + [claim for words in own_sentences(marked(text)) if (claim := claim_of(words))]


def first_line(text: str) -> list[Claim]:
    """The claim of a first line, of several, that is only a label and no heading among others."""
    lines = [line for line in text.splitlines() if line.strip()]
    label = label_of(lines[0]) if len(lines) > 1 else None
    if not label or lines[0].lstrip()[0] == "#" or lines[0].rstrip(" *")[-1:] == ":":
        return []
    return [] if any(label_of(line) for line in lines[1:-1]) else [Claim(label, "whole")]


def firm_claims_in(text: str) -> list[Claim]:
    """The claims that a verdict in a form must not contradict: of the whole, or of the quality in a conclusion.

    "In tone, B is better", "Accuracy: B is better" and "Although B is better" alone leave the verdict open.
    """
    found = [claim for words in own_sentences(marked(text)) if not of_an_aspect(words) and (claim := claim_of(words))]
    firm = [claim for claim in found if claim.of == "whole" or (claim.of == "quality" and claim.concluding)]
    return first_line(text) + [replace(claim, of="whole") for claim in firm]


def of_an_aspect(words: Sequence[str]) -> bool:
    """Whether a sentence is plainly about one side of the matter, or begins with a concession."""
    if not CONCLUDING.isdisjoint(words[:4]):
        return False
    if words[:1] and words[0] in ASPECT and ALL_IN_ALL.isdisjoint(words[:6]):
        return True
    if "terms" in words or (words[:1] and words[0] in CONCEDING and "," not in words):
        return True
    colon = words.index(":") if ":" in words[:8] else 0
    return colon > 0 and MARKS.isdisjoint(words[:colon]) and ALL_IN_ALL.isdisjoint(words[:colon])


def decided(claims: Sequence[Claim], cut: bool) -> Says | None:
    """The verdict of several claims.

    A conclusion decides, the last of several; else firm claims must agree; else those of a part. Of a reply
    that was cut off only a conclusion counts.
    """
    firm = [claim for claim in claims if claim.of == "whole"]
    last = max((at for at, claim in enumerate(firm) if claim.concluding), default=None)
    if last is not None:
        firm = firm[last:]
    elif cut:
        return None
    if firm:
        named = {claim.says for claim in firm} - {"tie", "both bad"}
        return "both named" if len(named) > 1 else firm[-1].says if not named or firm[-1].says == "tie" else named.pop()
    partial = [claim for claim in claims if claim.concluding][-1:] or claims
    return (partial[0].says if len({claim.says for claim in partial}) == 1 else "both named") if partial else None
