"""Who decides which completion is preferred: principles and a judge that did not make the labels."""

from dataclasses import dataclass, replace

from constitution.errors import InputError
from constitution.files import find, load
from constitution.principle import Constitution
from solon.backends import is_billed
from solon.config import RunConfig
from solon.endpoints import Judge
from solon.folder import RunFolder
from solon.prices import load_prices
from solon.supply import prices_file


@dataclass(frozen=True, slots=True)
class Referee:
    """Who decides which completion is preferred."""

    constitution: Constitution
    judge: Judge | None  # None where checks alone decide
    folder: RunFolder  # of the run, whose journal, prices and budget its calls go by
    notes: tuple[str, ...] = ()

    @property
    def config(self) -> RunConfig:
        """The run's, with this judge as its only one where there is one."""
        config = self.folder.config
        return replace(config, judge=self.judge, panel=(), cascade=None) if self.judge else config

    @property
    def name(self) -> str:
        by = f"judged by {self.judge.model}" if self.judge else "its checks alone"
        return f"{self.constitution.name}, {by}"


def referee_of(folder: RunFolder) -> Referee | None:
    """Who decides wins, as [evaluate] says; None where it says nothing.

    Raises:
        InputError: it made the labels, could decide nothing, or has no price.
    """
    settings, place = folder.config.evaluate, f"run {folder.config.name!r}, [evaluate]"
    if settings.constitution is None:
        return None
    constitution, notes = without_shared(folder, load(find(settings.constitution, folder.beside)), place)
    if settings.judge is None:
        return Referee(checks_of(constitution, place), None, folder, notes)
    require_another_judge(folder, settings.judge, place)
    require_price(folder, settings.judge)
    return Referee(constitution, settings.judge, folder, notes)


def without_shared(folder: RunFolder, constitution: Constitution, place: str) -> tuple[Constitution, tuple[str, ...]]:
    """The constitution without the principles that made the labels, and a note of them; refused where no other is."""
    labelling = folder.principles().principles
    rules, checks = {p.rule for p in labelling}, [p.check for p in labelling if p.check]
    shared = [p.id for p in constitution.principles if p.rule in rules or p.check in checks]
    others = tuple(p for p in constitution.principles if p.id not in shared)
    if not others:
        fact = f"constitution {constitution.name!r} made the labels: a policy trained on them wins by it"
        raise InputError(place, fact, "name another one")
    notes = (f"{', '.join(shared)} made the labels too, and so had no say in the wins",) if shared else ()
    return replace(constitution, principles=others), notes


def checks_of(constitution: Constitution, place: str) -> Constitution:
    checked = tuple(principle for principle in constitution.principles if principle.check)
    if not checked:
        fact = f"constitution {constitution.name!r} has no check, and no judge is named"
        raise InputError(place, fact, "add [evaluate.judge]")
    return replace(constitution, principles=checked)


def require_another_judge(folder: RunFolder, judge: Judge, place: str) -> None:
    """One that neither made the labels nor would favour what its own kin wrote."""
    config = folder.config
    labelled = {one.model for role, one in config.endpoints.items() if role not in ("policy", "critic")}
    if judge.model in labelled:
        fact = f"judge {judge.model!r} made the labels: a policy trained on them pleases it"
        raise InputError(place, fact, "name another model under [evaluate.judge]")
    scripted = "scripted" in (judge.backend, config.policy.backend)
    family = None if scripted or judge.allow_same_family else config.kin_of(judge)
    if family:
        fact = f"judge and policy are of one family ({family}), and a judge favours its own family"
        raise InputError(place, fact, "take another judge, or set allow_same_family = true under [evaluate.judge]")


def require_price(folder: RunFolder, judge: Judge) -> None:
    file = prices_file(folder)
    if is_billed(judge) and judge.model not in load_prices(file):
        raise InputError(str(file), f"has no price for {judge.model!r}", "write it there (docs/budget.md shows how)")
