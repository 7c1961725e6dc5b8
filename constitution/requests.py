"""What is asked for a principle, where its file does not say it: derived from the rule."""

from constitution.principle import Principle

NO_VIOLATION = "No violation."


def critique_request(principle: Principle) -> str:
    """Asks where the last completion breaks the rule, and for ``NO_VIOLATION`` where it does not.

    A rule that a check decides needs no such way out: it is asked only where the check found a fault.
    """
    asked = principle.critique or (
        f"Rule: {principle.rule}\nSay in one or two sentences where your last completion breaks this rule."
    )
    return asked if principle.check else f"{asked}\nIf it does not break the rule, reply only: {NO_VIOLATION}"


def revision_request(principle: Principle) -> str:
    """Asks for the completion without the fault that was just named."""
    return principle.revision or (
        f"Rule: {principle.rule}\nRewrite your completion so that it keeps this rule. "
        "Reply with the rewritten completion only."
    )


def preference_request(principle: Principle) -> str:
    """Asks which of two completions follows the rule better, without naming a slot."""
    return principle.preference or f"Which completion follows this rule better? Rule: {principle.rule}"
