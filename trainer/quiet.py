"""Libraries kept quiet: no progress bars and no advice on standard error; the caller shows progress."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """transformers says nothing below an error while it lasts, and is afterwards as it was."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


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
