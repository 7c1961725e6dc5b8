"""The three ways of judging a prompt's candidates, behind one function."""

from constitution.principle import Constitution
from generator.candidates import Candidates
from judge.grading import judge_graded
from judge.judging import Judged, Judging, judge_pairs
from judge.ranking import judge_ranked


async def judge_candidates(made: Candidates, constitution: Constitution, judging: Judging) -> Judged:
    """Judgements and labels of one prompt's candidates, the same in whatever order calls are answered."""
    match judging.mode:
        case "pairwise":
            return await judge_pairs(made, constitution, judging)
        case "pointwise":
            return await judge_graded(made, constitution, judging)
        case "ranked":
            return await judge_ranked(made, constitution, judging)
