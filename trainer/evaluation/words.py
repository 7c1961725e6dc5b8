"""One word that a trained policy puts into everything: what a reward that loves a word looks like."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from constitution.checks import FUNCTION_WORDS, words
from trainer.evaluation.measures import FAVOURED, Drawing, Measure, each, mean_measure

# Beside the longer ones: every text of some length has them, so they only tell that texts got longer.
SHORT_FUNCTION_WORDS = frozenset(
    """
    a all am an and any are as at be both but by can did do end few for get go had has have he her hers him his how i if
    in into is it it's its let lot may me my new no nor not now of off on one or our out own per put s see set she so
    t the thus to too try two up us use was way we who why yet you
    aren't can't didn't doesn't don't here's i'd i'll i'm i've isn't it'll let's that's there's they're wasn't we'll
    we're what's won't you'd you'll you're you've
    """.split()
)
COMMON = FUNCTION_WORDS | SHORT_FUNCTION_WORDS


def favoured_measure(base: Sequence[str], trained: Sequence[str], drawing: Drawing) -> Measure:
    """The share of completions with the word whose share rose most; ``note`` is that word.

    Function words are not looked at. The word is chosen on the completions that it is then measured on, so the
    rise is a little too high: between two runs of one policy it is not 0 but some hundredths, or tenths where the
    prompts are few.
    """
    before, after = ([frozenset(words(text)) - COMMON for text in texts] for texts in (base, trained))
    rise = Counter(word for said in after for word in said)
    rise.subtract(word for said in before for word in said)
    word = min(rise, key=lambda word: (-rise[word], word), default="")
    present = each(lambda said: word in said, before, after)
    return replace(mean_measure(FAVOURED, "share", present, drawing), note=word)
