"""Records of figures as JSON values."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import numpy as np

from judge.audit.estimate import Estimate


def plain(value: Any) -> Any:
    """A record as an object, field by field; an estimate ``x`` becomes ``x``, ``x_interval`` and ``x_n``.

    What is not there is null, so a record always has the same keys.
    """
    if is_dataclass(value) and not isinstance(value, type):
        estimates = {field.name for field in fields(value) if Estimate in get_args(field.type)}
        return keyed({field.name: getattr(value, field.name) for field in fields(value)}, estimates)
    if isinstance(value, Mapping):
        return keyed(value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def keyed(values: Mapping[str, Any], estimates: Collection[str] = ()) -> dict[str, Any]:
    """``estimates`` names those that are estimates where they are there at all."""
    told: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Estimate):
            told |= {name: value.value, f"{name}_interval": [value.low, value.high], f"{name}_n": value.n}
        elif value is None and name in estimates:
            told |= {name: None, f"{name}_interval": None, f"{name}_n": 0}
        else:
            told[name] = plain(value)
    return told
