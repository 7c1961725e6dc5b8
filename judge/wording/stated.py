"""What a reply says as a whole: a label, a verdict in a form that nothing else in it gainsays, or its claims.

A form (JSON, ``[[A]]``, "Verdict: A", a tag) that a sentence plainly reports, as in "Response B ends with
[[B]]", is as good as quoted, and the judge's own words decide. All other forms must say the same, and no
firm claim outside them the contrary; else both are named. Within a code fence or behind a block quote's sign
only JSON that ends the reply is a form at all.
"""

import re
from collections.abc import Sequence

from judge.wording.claims import claims_in, decided, firm_claims_in
from judge.wording.comparing import Says
from judge.wording.forms import TAKEN, Form, in_json, keyed, labelled, pairs, tagged, without
from judge.wording.labels import label_of
from judge.wording.quoting import unquoted, without_blocks

FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.M)
OPENED = re.compile(r"(?:^|\n)[ \t]*+(?:```|~~~)[ \t]*+(?:json)?\s*+\Z", re.I)
BEHIND_SIGN = re.compile(r"^[ \t]*>[> \t]*\Z", re.M)
IN_CODE = re.compile(r"`[^`\n]*`")
SIGNS_BEHIND = " \t\n.*_`~\"'!)]}>"
ATTEMPTS = 3  # objects looked at, where one after the other is only reported


def stated(text: str, cut: bool) -> Says | None:
    """The verdict of a reply; of one that was cut off, what it had come to say."""
    if says := label_of(text):
        return says
    form, enclosed, text = object_of(text)
    beside = text if enclosed else IN_CODE.sub(" ", without_blocks(text))
    forms = [form] if form else []
    forms += [pair for pair in pairs(beside) if pair.standing != "reported"]
    text = unquoted(without(text, pairs(text)))
    if not forms and (says := label_of(text)):
        return says
    for find in (keyed, tagged) if cut else (keyed, tagged, labelled):
        found = find(text)
        forms += [form for form in found if form.standing != "reported"]
        text = without(text, found)
    return weighed(forms, whole_sentences(text) if cut else text, cut)


def object_of(text: str) -> tuple[Form | None, bool, str]:
    """The object with a verdict, whether it is in a fence or behind a block quote's sign, and the text without it."""
    for _ in range(ATTEMPTS):
        form = in_json(text)
        if not form:
            break
        head = text[: form.start]
        opened = OPENED.search(head) is not None
        enclosed = opened or BEHIND_SIGN.search(head) is not None
        in_fence = len(FENCE.findall(head)) % 2 == 1
        if (enclosed and form.end < len(text)) or (in_fence and not opened):
            break
        text = without(text, [form])
        if form.standing != "reported":
            return form, enclosed, text
    return None, False, text


def weighed(forms: Sequence[Form], text: str, cut: bool) -> Says | None:
    """What the forms say together, unless the claims of the text without them gainsay it."""
    said = {form.says for form in forms}
    if len(said) > 1:
        return "both named"
    if said:
        says = said.pop()
        if gainsaid(says, decided(firm_claims_in(text), cut=False), text):
            return "both named"
        if any(form.standing == "own" for form in forms):
            return says
    return decided(claims_in(text), cut)


def gainsaid(says: Says, claimed: Says | None, text: str) -> bool:
    """Whether a form says other than the claims beside it. What both claims leave open, a form at the end decides."""
    if claimed in (None, says, "both bad") or (says == "both bad" and claimed == "tie"):
        return False
    return not (claimed == "both named" and text.rstrip(SIGNS_BEHIND).endswith(TAKEN))


def whole_sentences(text: str) -> str:
    """The text without the sentence that it was cut off in."""
    return text[: 1 + max(text.rfind(sign) for sign in ".!?\n")]
