"""The tokenizer that a run's export is measured with."""

from importlib.util import find_spec

from constitution.errors import InputError
from solon.folder import RunFolder
from solon.training.places import base_weights, weights_at
from trainer.pairs.lengths import Gate, open_gate


def gate_of(folder: RunFolder) -> Gate | str:
    """That of the tokenizer under [export], else of the weights to train; why there is none where it is not here.

    Raises:
        InputError: a tokenizer is named, and cannot be used.
    """
    config = folder.config.export
    if config.tokenizer is not None:
        return open_gate(weights_at(config.tokenizer, folder.beside), config.max_length)
    if find_spec("transformers") is None:
        return "transformers is not installed"
    try:
        return open_gate(base_weights(folder), config.max_length)
    except InputError as error:
        return error.fact
