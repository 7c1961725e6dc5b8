"""What is asked for a principle: its own words where its file gives them, else words derived from the rule.

A principle that a model judges is always quoted by its rule too, so that rewording the rule reaches every
call. Where a check decides, the check is the rule, and the file's words stand alone.
"""

from constitution.principle import Principle

NO_VIOLATION = "No violation."


def critique_request(principle: Principle) -> str:
    """Asks where the last completion breaks the rule, and for ``NO_VIOLATION`` where it does not.

    A rule that a check decides needs no such way out: it is asked only where the check found a fault.
    """
    asked = quoted(principle, principle.critique, "Say in one or two sentences where your last completion breaks it.")
    return asked if principle.check else f"{asked}\nIf it does not break the rule, reply only: {NO_VIOLATION}"


def revision_request(principle: Principle) -> str:
    """Asks for the completion without the fault that was just named."""
    derived = "Rewrite your completion so that it keeps this rule. Reply with the rewritten completion only."
    return quoted(principle, principle.revision, derived)


def preference_request(principle: Principle) -> str:
    """Asks which of two completions follows the rule better, without naming a slot."""
    return quoted(principle, principle.preference, "Which completion follows this rule better?")


def quoted(principle: Principle, own: str, derived: str) -> str:
    if own and principle.check:
        return own
    return f"Rule: {principle.rule}\n{own or derived}"
