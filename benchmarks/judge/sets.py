"""The recorded sets as an audit reads them: written as files, read by `solon audit`'s reader."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from recorded import DATA, Recorded, arena, llmbar, pandalm, write, xstest

from judge.audit.table import TIE, Averaged, Bools, Ints, Material, average, human_choice
from solon.auditing.read import read_material

SUBSETS = ("GPTInst", "Natural", "LLMEval^2")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A set's verdicts, orders averaged, beside what people chose, (items,); ``material`` may hold more of both."""

    name: str
    judges: tuple[str, ...]
    averaged: Averaged
    human: Ints
    material: Material


def read(recorded: Recorded | None) -> Material:
    if recorded is None:
        raise FileNotFoundError(DATA)
    with TemporaryDirectory() as folder:
        verdicts, labels = write(recorded, Path(folder))
        assert labels
        return read_material(verdicts, labels, None)


def judged(name: str, material: Material) -> Judged:
    return Judged(name, material.verdicts.judges, average(material), human_choice(material), material)


@cache
def of_llmbar(subset: str) -> Judged:
    return judged(f"LLMBar {subset}", read(llmbar(subset)))


@cache
def all_llmbar() -> Material:
    return read(llmbar())


@cache
def shared_llmbar() -> Judged:
    """All three sets with only the judges that were asked on each."""
    whole = judged("LLMBar, all three sets", all_llmbar())
    strata = range(len(whole.material.strata))
    asked = [whole.averaged.known[whole.material.stratum == stratum].any(axis=0) for stratum in strata]
    return with_judges(whole, np.all(asked, axis=0))


@cache
def of_arena() -> Judged:
    return judged("Arena", read(arena()))


@cache
def decided_arena() -> Judged:
    """The votes that prefer one of the two."""
    of = of_arena()
    decided = of.human != TIE
    averaged = Averaged(*(column[decided] for column in (of.averaged.p_one, of.averaged.known, of.averaged.agree)))
    return Judged("Arena, votes without ties", of.judges, averaged, of.human[decided], of.material)


@cache
def of_xstest() -> Judged:
    """What the two people settled on."""
    return judged("XSTest", read(xstest(("human_final",))))


@cache
def pandalm_material() -> Material:
    return read(pandalm())


@cache
def of_pandalm() -> Judged:
    return judged("PandaLM", pandalm_material())


def with_judges(whole: Judged, kept: Bools) -> Judged:
    """Only these judges' columns; the material stays whole."""
    of = whole.averaged
    names = tuple(name for name, keep in zip(whole.judges, kept, strict=True) if keep)
    averaged = Averaged(of.p_one[:, kept], of.known[:, kept], of.agree[:, kept])
    return Judged(whole.name, names, averaged, whole.human, whole.material)
