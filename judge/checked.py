"""One pair under one principle that code decides."""

from constitution.checks import Check
from generator.candidates import Candidate
from generator.prompts import Prompt
from judge.verdict import Judgement, Verdict


def judge_by_check(prompt: Prompt, one: Candidate, other: Candidate, principle: str, check: Check) -> Judgement:
    """Prefers the candidate that keeps the check to one that breaks it; otherwise they tie."""
    a, b = sorted((one, other), key=lambda candidate: candidate.id)
    kept_a, kept_b = check.kept(prompt.text, a.text), check.kept(prompt.text, b.text)
    p_a = 0.5 + (kept_a - kept_b) / 2
    return Judgement(a.id, b.id, principle, "check", Verdict(p_a, call=""), None)
