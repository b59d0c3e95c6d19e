"""All cases, family by family."""

import importlib
import pkgutil
from dataclasses import replace

from tests.http.case import Case
from tests.http.tornado_ways import tornado_way


def _read(name: str) -> list[Case]:
    cases: list[Case] = importlib.import_module(f"{__name__}.{name}").CASES
    return [replace(case, tornado=tornado_way(case.id)) for case in cases]


FAMILIES: dict[str, list[Case]] = {
    module.name: _read(module.name) for module in pkgutil.iter_modules(__path__)
}
CASES: list[Case] = [case for family in FAMILIES.values() for case in family]
