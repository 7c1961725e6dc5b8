"""Libraries kept quiet: no progress bars and no advice on standard error; the caller shows progress."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from generator.models import folders


@contextmanager
def quiet() -> Iterator[None]:
    """transformers says nothing below an error while it lasts, and is afterwards as it was."""
    import transformers

    with folders.quiet(transformers.utils.logging), warnings.catch_warnings():
        # TRL still uses names that transformers renames: nothing that a user could change.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\.")
        yield


@contextmanager
def quiet_training() -> Iterator[None]:
    """The same for datasets and TRL; TRL's one bar listens only to an environment variable."""
    import datasets

    bars, variable = datasets.are_progress_bars_disabled(), os.environ.get("TQDM_DISABLE")
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"
    try:
        with quiet():
            yield
    finally:
        os.environ.pop("TQDM_DISABLE")
        if variable is not None:
            os.environ["TQDM_DISABLE"] = variable
        if not bars:
            datasets.enable_progress_bars()
