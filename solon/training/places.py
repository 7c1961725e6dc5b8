"""Where training starts from, and where it puts models."""

from importlib.util import find_spec
from pathlib import Path

from constitution.errors import InputError
from solon.folder import RunFolder
from trainer.ancestry import RECORD, Record, read_record
from trainer.memory import keep_freed_memory

EMBEDDED = ("llamacpp", "transformers", "vllm")  # backends whose model is weights on this machine
NEW, OLD = ".new", ".old"  # what a model's folder is called while one takes the place of another


def prepare_trainer() -> None:
    """Refuses where training is not installed; else gets the process ready for it."""
    for package in ("torch", "trl"):
        if find_spec(package) is None:
            raise InputError("train", f"{package} is not installed", "pip install 'solon[train]'")
    keep_freed_memory()


def base_weights(folder: RunFolder, base: Path | None = None) -> Path:
    """The weights that training starts from: ``base``, else those under [train], else the embedded policy's own.

    Raises:
        InputError: there are none.
    """
    if base is not None:
        return weights_at(str(base), Path())
    config = folder.config
    if config.train.base is None and (config.policy.backend not in EMBEDDED or config.policy.base_url):
        remedy = "name a model folder with --base, or as base under [train]"
        raise InputError(f"run {config.name!r}", "the policy's weights are not here", remedy)
    return weights_at(config.train.base or config.policy.model, folder.beside)


def weights_at(named: str, beside: Path) -> Path:
    """The model folder or GGUF file that ``named`` means, as a path relative to ``beside`` or as a shipped name."""
    from generator.models.llamacpp import find_weights

    place = beside / Path(named).expanduser()
    if place.is_dir():
        return place
    if len(Path(named).parts) > 1 and not place.exists():
        raise InputError(str(place), "no such file or folder", "name a GGUF file or a Hugging Face model folder")
    return find_weights(named, beside).path


def record_of(place: Path) -> Record | None:
    """The record of the model in ``place``; None where Solon trained none there.

    Raises:
        InputError: there is one, and it cannot be read.
    """
    try:
        record = read_record(place)
        if record is not None and not isinstance(record["method"], str):
            raise TypeError("its method is no text")
    except (ValueError, LookupError, TypeError) as error:
        fact = f"is no record that can be read ({type(error).__name__}: {error})"
        raise InputError(str(place / RECORD), fact, "train the model again, or remove its folder") from None
    return record


def trained_models(folder: RunFolder) -> dict[str, Path]:
    """The models that Solon trained and put under RUN/models, by the name of their folder.

    One that a kill left on its way there is none of them.
    """
    places = [file.parent for file in sorted(folder.models.glob(f"*/{RECORD}"))]
    return {place.name: place for place in places if place.suffix not in (NEW, OLD)}


def trained_policies(folder: RunFolder) -> dict[str, Path]:
    """The same without reward models, which say nothing."""
    found = trained_models(folder).items()
    return {name: place for name, place in found if (record_of(place) or {}).get("method") != "reward"}
