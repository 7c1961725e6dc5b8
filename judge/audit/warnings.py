"""What an audit's figures mean for whoever would use the judge: sentences that say what to do."""

from collections.abc import Iterator

from judge.audit.parts import JudgeFigures, Part

FEW_LABELS = 50  # below it every figure is a guess
POORLY_CALIBRATED = 0.1  # ECE beyond what luck makes of perfectly calibrated chances
MOSTLY_HEARD = 0.5  # share of items with a verdict
MOST_NAMED = 5  # judges named for one fault; the others are counted


def warnings_of(whole: Part) -> list[str]:
    """The gravest first; none where nothing speaks against using these judges."""
    return [*doubts_of_labels(whole), *named(whole)]


def doubts_of_labels(whole: Part) -> Iterator[str]:
    if whole.labelled < FEW_LABELS:
        yield (
            f"Only {whole.labelled} of {whole.items} items have a human label: read the intervals, not the figures. "
            f"Label at least {FEW_LABELS}."
        )


def named(whole: Part) -> Iterator[str]:
    """Fault by fault, the judges that show it."""
    slot_bound = [judge.position.warning for judge in whole.judges.values() if judge.position.warning]
    yield from slot_bound[:MOST_NAMED]
    if len(slot_bound) > MOST_NAMED:
        yield f"The same kind of fault is found in {len(slot_bound) - MOST_NAMED} more."
    silent = [name for name, judge in whole.judges.items() if mostly_silent(judge)]
    if silent:
        yield (
            f"No verdict on more than half of the items: {listed(silent)}. "
            "See why under no_verdicts, and mend the prompt or the token limit first."
        )
    chance = [name for name, judge in whole.judges.items() if no_better_than_a_coin(judge)]
    if chance:
        them = "it" if len(chance) == 1 else "them"
        yield f"Not shown to be better than a coin: {listed(chance)}. Do not label with {them} alone."
    short = [name for name, judge in whole.judges.items() if no_better_than_length(judge, whole)]
    if short:
        yield (
            f"No better than always preferring the longer completion ({told_length(whole)}): {listed(short)}. "
            "Have a judge that reads, or control for length."
        )
    unsure = [name for name, judge in whole.judges.items() if badly_calibrated(judge)]
    if unsure:
        yield (
            f"Chances that are not to be taken at their word: {listed(unsure)}. "
            "Use the calibrated ones, or anchor them with labels."
        )


def mostly_silent(judge: JudgeFigures) -> bool:
    return judge.answered is not None and judge.answered.value < MOSTLY_HEARD


def no_better_than_a_coin(judge: JudgeFigures) -> bool:
    kappa = judge.label.kappa
    return kappa is not None and kappa.low <= 0.0


def no_better_than_length(judge: JudgeFigures, whole: Part) -> bool:
    accuracy, baseline = judge.accuracy, whole.longer
    return accuracy is not None and baseline is not None and accuracy.value <= baseline.value


def told_length(whole: Part) -> str:
    return f"{whole.longer.value:.1%} agreement" if whole.longer else ""


def badly_calibrated(judge: JudgeFigures) -> bool:
    report = judge.calibration
    return report is not None and report.before.ece.low > report.before.ece_by_chance + POORLY_CALIBRATED


def listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(repr(name) for name in names[:MOST_NAMED]) + more
