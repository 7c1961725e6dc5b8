"""Where a text names one of two completions: its words, with every name of a completion put as a mark.

Judges call the two completions A and B, 1 and 2, "Output (a)", "the second response" and so on. Whatever
family of names a text uses, only the marks are read afterwards, so that swapping the two names in a text
swaps what is read from it and changes nothing else.
"""

import re

ONE, TWO, BOTH, NEITHER = "\x01", "\x02", "\x03", "\x04"
SLOTS = frozenset((ONE, TWO))
OTHER = {ONE: TWO, TWO: ONE}

PLAIN = (("A", "B"), ("1", "2"))  # a name after a noun ("Output A"), and alone where the grammar asks for one
DOUBTFUL = (("a", "b"), ("m", "M"), ("one", "two"))  # a word as well: a name in brackets, or where a verb follows
ORDINAL = (("first", "second"), ("1st", "2nd"))  # a name before a noun
PLAIN_MARK, DOUBTFUL_MARK, ORDINAL_MARK = (
    {name: mark for pair in family for name, mark in zip(pair, (ONE, TWO), strict=True)}
    for family in (PLAIN, DOUBTFUL, ORDINAL)
)
LETTER_MARK = PLAIN_MARK | DOUBTFUL_MARK
NUMBER_WORDS = frozenset(("one", "two"))

NOUNS = frozenset(
    "output response answer assistant model option completion candidate reply text summary choice system chatbot "
    "translation solution version essay story message generation agent bot ai passage explanation argument poem "
    "email code sample number".split()
)
MANY = frozenset(noun + "s" for noun in NOUNS) | {"replies", "summaries", "stories", "essays"}
NAMED_BY_ORDER = NOUNS | MANY | {"one"}
# What "both" and "neither" are followed by where they mean the two completions.
GROUP_VERBS = frozenset(
    "are is were was have has do does fail fails failed provide follow contain seem equal bad good of one".split()
)
# What a name is followed by where it is the subject of a clause or the end of one.
FOLLOWS = frozenset(
    "is was are were has does did would should wins won over than because since as and or but nor while whereas "
    "provides gives offers follows seems appears beats outperforms performs loses due rather 's , . ; : ! ? ) "
    "> < =".split()
) | {"\n"}
ENDS = FOLLOWS - {"and", "or", "nor", "is", "was"}
# What a name without a noun comes after, where it is the subject, or what is chosen.
BEFORE_SUBJECT = frozenset(
    "that so and but while because since as therefore thus hence overall think believe say feel conclude whereas "
    "although though however finally , . ; : ! ? ( > < =".split()
)
BEFORE_OBJECT = frozenset(
    "prefer choose chose pick picked select selected favor favour recommend outperforms outperformed beats surpasses "
    "with for to is be than over as : > < =".split()
)
JOINS = frozenset(("and", "or", "nor", "&", "/"))
OWNERS = ([ONE], [TWO])
OPENING, CLOSING = frozenset("([\"'"), frozenset(")]\"'")

TOKEN = re.compile(  # a number with its fraction is one word, and so is the beginning of a conclusion
    r"\b[Ii]n (?:conclusion|summary)\b|\d+(?:[.,:/]\d+)+%?|[^\W_]+(?:'(?:t|re|ve|ll|d|m)\b)?|'s\b|\n|[^\w\s]"
)


def marked(text: str) -> list[str]:
    """The text's words and signs, in order and in lower case, with its names of completions as marks.

    A name and its noun, brackets and "the" become one mark; "A and B" or "both responses" becomes ``BOTH``,
    "neither A nor B" becomes ``NEITHER``. The article "a" is never a name, nor an "A" that the
    grammar makes none, which stays as it is so as to be no article either.
    """
    words = TOKEN.findall(text.replace("*", " "))
    found: list[str] = []
    at = 0
    while at < len(words):
        mark, used = named_at(words, at)
        if mark:
            add_mark(found, mark)
        elif words[at] == "'s" and found[-1:] in OWNERS and words[at + 1 : at + 2] and words[at + 1].lower() in NOUNS:
            used = 2  # "Assistant A's response" is A
        elif words[at] in "([" and found and (again := said_again(words, at, found[-1])):
            used = again  # "the first response (Response A)"
        else:
            found.append(words[at] if words[at] in PLAIN_MARK else words[at].lower())
        at += used
    return found


def named_at(words: list[str], at: int) -> tuple[str, int]:
    """The mark of the name that starts at a word, and how many words it takes; no mark where there is none."""
    word = words[at]
    low = word.lower()
    following = words[at + 1].lower() if at + 1 < len(words) else ""
    if low in ("both", "neither") and (used := group_size(words, at + 1)) is not None:
        return (BOTH if low == "both" else NEITHER), 1 + used
    if low in NOUNS or low in MANY:
        return after_noun(words, at)
    if mark := ORDINAL_MARK.get(low):
        return (mark, 2) if following in NAMED_BY_ORDER else ordinal_alone(words, at, mark)
    return alone(words, at)


def group_size(words: list[str], at: int) -> int | None:
    """How many words after "both" or "neither" belong to it; None where it names its two itself, or means neither."""
    low = [word.lower() for word in words[at : at + 3]] + [""] * 3
    if low[0] in NAMED_BY_ORDER:
        return None if label_at(words, at + 1)[0] else 1
    if low[0] == "of":
        return 3 if low[1] in ("the", "these") and low[2] in MANY else 2
    return 0 if low[0] in GROUP_VERBS else None


def label_at(words: list[str], at: int) -> tuple[str, int, bool]:
    """The mark at a word, how many words it takes with its brackets, and whether it needs what follows to be sure."""
    start = at
    while at < len(words) and words[at] in OPENING and at < start + 3:
        at += 1
    mark = LETTER_MARK.get(words[at], "") if at < len(words) else ""
    if not mark:
        return "", 1, False
    opened, word = at > start, words[at]
    at += 1
    while opened and at < len(words) and words[at] in CLOSING and at < start + 7:
        at += 1
    return mark, at - start, word in DOUBTFUL_MARK and not opened


def after_noun(words: list[str], at: int) -> tuple[str, int]:
    """ "Output (a)", "model_1", "Responses A and B"."""
    label = at + 1
    while label < len(words) and words[label] in ("_", "-", "#", "number") and label < at + 3:
        label += 1
    mark, used, doubtful = label_at(words, label)
    end = label + used
    following = words[end].lower() if end < len(words) else "."
    if not mark or (following in ("-", "/", "%") and end + 1 < len(words) and words[end + 1].isdigit()):
        return "", 1
    if words[at].lower() in MANY:
        second, more, _ = label_at(words, end + 1) if following in JOINS else ("", 0, False)
        return (BOTH, end + 1 + more - at) if second == OTHER[mark] else ("", 1)
    if doubtful and words[at + 1] != "_" and following not in FOLLOWS and following != "(":
        return "", 1
    return mark, end - at


def said_again(words: list[str], at: int, mark: str) -> int:
    """How many words name the completion of a mark again, in brackets; 0 where they do not."""
    if at + 1 < len(words) and words[at + 1].lower() in NOUNS:
        again, used = after_noun(words, at + 1)
        closed = at + 1 + used < len(words) and words[at + 1 + used] in CLOSING
        return (1 + used + closed) if again and mark in (again, BOTH, NEITHER) else 0
    again, used, _ = label_at(words, at)
    return used if again and mark in (again, BOTH, NEITHER) else 0


def ordinal_alone(words: list[str], at: int, mark: str) -> tuple[str, int]:
    """ "the second is better": without a noun only after "the", and where the clause goes on or ends."""
    after_article = at > 0 and words[at - 1].lower() == "the"
    ends = at + 1 == len(words) or words[at + 1].lower() in (FOLLOWS - {","}) | {"("}
    return (mark, 1) if after_article and ends else ("", 1)


def alone(words: list[str], at: int) -> tuple[str, int]:
    """ "A is better", "I prefer (b)": without a noun only where the grammar asks for a name."""
    mark, used, doubtful = label_at(words, at)
    if not mark or doubtful or words[at + used - 1].lower() in NUMBER_WORDS:
        return "", 1
    before = words[at - 1].lower() if at else "."
    following = words[at + used].lower() if at + used < len(words) else "."
    joined = before in JOINS or following in JOINS or before in ("both", "neither", "either", "between")
    subject = (before in BEFORE_SUBJECT or before == "\n") and following in FOLLOWS - {".", ")", ":", "!", "?", ";"}
    chosen = before in BEFORE_OBJECT and (following in ENDS or following == "\n")
    return (mark, used) if joined or subject or chosen else ("", 1)


def add_mark(found: list[str], mark: str) -> None:
    """Puts a mark at the end: one and the same name said twice is one; two joined by "and" are both."""
    if found and found[-1] == "the":
        found.pop()
    if found[-1:] == [mark]:
        return
    joined = len(found) > 1 and found[-1] in JOINS and found[-2] == OTHER.get(mark)
    if not joined:
        found.append(mark)
        return
    neither = found.pop() == "nor"
    found.pop()
    if found and found[-1] in ("both", "neither", "either"):
        neither = found.pop() == "neither"
    found.append(NEITHER if neither else BOTH)
