"""`solon train METHOD`."""

import sys
from contextlib import nullcontext
from pathlib import Path

from solon.cli.telling import Told
from solon.folder import open_folder
from solon.report.write import write_report
from solon.run_lock import hold
from solon.training.carrying import Asked, Made, train_as_asked
from solon.training.launched import is_main, leave
from solon.training.telling import counted, course_told, figures_told
from trainer.settings import Method


def train(method: Method, run: Path, out: Path | None = None, base: Path | None = None) -> Told:
    """Trains on the run's data, unless the model in ``out`` was trained on just that, from this base, as set now.

    Of several processes that `accelerate launch` started, the main one alone holds the folder and comes back;
    the others end when all is done.
    """
    folder = open_folder(run)
    with hold(folder.path) if is_main() else nullcontext():
        made = train_as_asked(folder, Asked(method, out, base))
        leave()
        if not is_main():
            sys.exit(0)
        write_report(folder)
    return Told({**made.record, "model": str(made.output)}, told(made))


def told(made: Made) -> str:
    record = made.record
    lines = [
        f"{'already trained on just this' if made.known else 'trained'}: {record['method']}, {counted(record)}, "
        f"{len(record['steps'])} steps, {record['seconds']:.0f} s{course_told(record['steps'])}; "
        f"the model is in {made.output}"
    ]
    if record["figures"]:
        lines.append(f"measured: {figures_told(record['figures'])}")
    return "\n".join(lines)
