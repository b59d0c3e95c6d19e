"""Which module may import which. The law is in docs/design.md; this reads what the source says.

A module's docstring may say that it is a "Leaf", which imports nothing of ours but leaves, or "Pure", a leaf
with values in and values out: it does no I/O, logs nothing, and knows no event loop. The module is held to
that.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "handlers", "waterspout", "wsgi_app")

IMPURE = {"asyncio", "logging", "select", "socket", "subprocess", "threading", "tornado", "uvloop"}
#: The parts of the engine, a file or a folder each, the lowest first. None imports one listed after it.
PARTS = (
    "exceptions",
    "limits",
    "signature",
    "importer",
    "system",
    "logs",
    "message",
    "hub",
    "websocket",
    "http",
    "ops",
    "wsgi.frames",
    "wsgi.backlog",
    "wsgi.naming",
    "wsgi.urls",
    "wsgi.layers",
    "wsgi.linking",
    "wsgi.settings",
    "wsgi.worker",
    "wsgi.lanes",
    "wsgi.exchange",
    "wsgi.pool",
    "wsgi.container",
    "native",
    "routing",
    "opening",
    "container_settings",
    "application",
    "foreign_options",
    "option_types",
    "options",
    "settings",
    "targets",
    "routes",
    "serving",
    "cli",
    "__main__",
    "testing",
    "service",
)
#: Interfaces of packages, which load what is in them when it is first used.
DOORS = {"waterspout", "waterspout.wsgi"}
#: (module, what it imports inside a function) and why that is right.
LATE_IMPORTS = {
    ("waterspout.wsgi.worker.loading", "werkzeug.debug"): "optional: only --debug of a Flask app has it",
    ("waterspout.wsgi.linking", "waterspout.wsgi.urls"): "the WSGI process of an app that is not Flask's "
    "does without Werkzeug",
    ("waterspout.serving.reloading", "watchfiles"): "optional: only --reload wants it",
    ("waterspout.cli", "uvloop"): "optional: there is none for Windows and PyPy",
    ("waterspout.routes.command", "waterspout.routes.judging"): "waterspout serve starts sooner without",
    ("app.__main__", "app.settings"): "it says what to install where a package of the extra app is missing",
    ("wsgi_app.commands", "app.first_run"): "a WSGI process does without Alembic",
    ("wsgi_app", "wsgi_app.pages"): "the server, which reads sessions alone, starts sooner without",
}
#: Which modules import by name, at run time, and why.
DYNAMIC_IMPORTS = {
    "waterspout": "its interface is loaded when first used, so that a WSGI process stays small",
    "waterspout.native": "the same, for live",
    "waterspout.service": "its modules need Flask and SQLAlchemy, which not everybody has",
    "waterspout.testing": "its fixture needs pytest, which unittest does without",
    "waterspout.wsgi": "the same, for Container",
    "waterspout.importer": "MODULE:NAME on the command line",
}


@dataclass(frozen=True)
class Import:
    """One import of one module. `late`: inside a function. `typing`: for the type checker alone."""

    importer: str
    imported: str
    late: bool
    typing: bool


@cache
def modules():
    """Every module of the repository by its dotted name."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


@cache
def tree_of(module):
    return ast.parse(modules()[module].read_text())


def modules_that_say(word):
    return sorted(
        module for module in modules() if re.search(rf"\b{word}\b", ast.get_docstring(tree_of(module)) or "")
    )


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node, late=False, typing=False):
    """Every node below, with whether it is inside a function, and whether it is for types alone."""
    for child in ast.iter_child_nodes(node):
        inside = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for_types = typing or (is_type_checking(node) and child in node.body)
        yield child, inside, for_types
        yield from walk(child, inside, for_types)


def names_of(module, statement):
    """What a statement imports: modules of ours as exactly as can be told, others as they are written."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    if statement.level:
        package = module.split(".") if modules()[module].name == "__init__.py" else module.split(".")[:-1]
        parents = package[: len(package) - statement.level + 1]
        base = ".".join([*parents, *([statement.module] if statement.module else [])])
    inner = [f"{base}.{alias.name}" for alias in statement.names]
    return [name if name in modules() else base for name in inner]


@cache
def imports():
    return [
        Import(module, name, late, typing)
        for module in modules()
        for statement, late, typing in walk(tree_of(module))
        if isinstance(statement, (ast.Import, ast.ImportFrom))
        for name in names_of(module, statement)
    ]


def top_of(name):
    return name.partition(".")[0]


@cache
def graph():
    """The modules of ours that each one imports when it is itself imported."""
    edges = {module: set() for module in modules()}
    for found in imports():
        if not found.late and not found.typing and found.imported in modules():
            edges[found.importer].add(found.imported)
    return edges


@cache
def reachable(module):
    """All modules of ours that importing `module` loads."""
    found, waiting = set(), [module]
    while waiting:
        for name in graph()[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def importers_of(package, importing):
    return sorted(
        {(each.importer, each.imported) for each in imports() if top_of(each.importer) == importing}
        & {(each.importer, each.imported) for each in imports() if top_of(each.imported) == package}
    )


def part_of(module):
    """The part of the engine that `module` belongs to; None if it is not the engine's, or a door."""
    if module in DOORS or top_of(module) != "waterspout":
        return None
    _, *names = module.split(".")
    return ".".join(names[:2] if names[0] == "wsgi" else names[:1])


def test_the_reader_of_imports_reads_something():
    assert {"waterspout.wsgi.pool.pool", "app.application", "handlers", "wsgi_app"} <= set(modules())
    assert "waterspout.wsgi.exchange.exchange" in graph()["waterspout.wsgi.pool.pool"]
    assert "waterspout.limits" in graph()["waterspout.wsgi.pool.pool"]
    assert {"waterspout.limits", "waterspout.http.parser", "waterspout.wsgi.frames"} <= set(
        modules_that_say("Pure")
    )
    assert Import("waterspout.cli", "uvloop", late=True, typing=False) in imports()
    assert Import("waterspout", "waterspout.application", late=False, typing=True) in imports()


@pytest.mark.parametrize("package", ["app", "handlers", "wsgi_app"])
def test_the_engine_knows_no_application(package):
    assert importers_of(package, "waterspout") == []


@pytest.mark.parametrize(("one", "other"), [("handlers", "wsgi_app"), ("wsgi_app", "handlers")])
def test_the_two_sides_never_import_each_other(one, other):
    assert importers_of(other, one) == []


def test_only_the_app_knows_both_sides():
    both = {
        top_of(module)
        for module in modules()
        if {"handlers", "wsgi_app"} <= {top_of(name) for name in reachable(module)}
    }
    assert both <= {"app"}


def test_the_flask_side_knows_no_event_loop():
    asked = {
        (each.importer, top_of(each.imported)) for each in imports() if top_of(each.importer) == "wsgi_app"
    }
    assert not [found for found in asked if found[1] in ("tornado", "asyncio")]


@pytest.mark.parametrize("leaf", modules_that_say("Leaf") + modules_that_say("Pure"))
def test_a_leaf_imports_only_leaves(leaf):
    leaves = {*modules_that_say("Leaf"), *modules_that_say("Pure")}
    assert reachable(leaf) - {"waterspout"} <= leaves


@pytest.mark.parametrize("module", modules_that_say("Pure"))
def test_what_is_pure_imports_nothing_that_does_anything(module):
    asked = {top_of(each.imported) for each in imports() if each.importer in {module, *reachable(module)}}
    assert asked & IMPURE == set()


def test_every_module_of_the_engine_has_its_place():
    assert {part_of(module) for module in modules()} == {*PARTS, None}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_imports_one_above_it(part):
    above = PARTS[PARTS.index(part) + 1 :]
    assert not [
        (each.importer, each.imported)
        for each in imports()
        if part_of(each.importer) == part and not each.typing and part_of(each.imported) in above
    ]


def test_a_worker_knows_no_event_loop():
    side = {module for module in modules() if part_of(module) == "wsgi.worker"}
    side |= {found for module in side for found in reachable(module)} - DOORS
    assert not [
        (each.importer, each.imported)
        for each in imports()
        if each.importer in side
        and not each.typing
        and top_of(each.imported) in ("asyncio", "tornado", "uvloop")
    ]


@pytest.mark.parametrize(("one", "other"), [*permutations(("http", "websocket", "wsgi"), 2)])
def test_each_half_serves_alone(one, other):
    """Indirect imports count too."""
    assert not [
        (module, found)
        for module in modules()
        if f"{module}.".startswith(f"waterspout.{one}.")
        for found in reachable(module)
        if f"{found}.".startswith(f"waterspout.{other}.")
    ]


@pytest.mark.parametrize("part", ["http", "hub", "websocket"])
def test_what_serves_anybody_imports_only_leaves_beside_itself(part):
    leaves = {*modules_that_say("Leaf"), *modules_that_say("Pure"), *DOORS}
    own = {module for module in modules() if part_of(module) == part}
    assert {found for module in own for found in reachable(module)} - own <= leaves


def test_there_are_no_circles():
    circles = [
        sorted({module, *(other for other in reachable(module) if module in reachable(other))})
        for module in modules()
        if module in reachable(module)
    ]
    assert circles == []


def test_imports_inside_functions_are_those_that_have_a_reason():
    assert {(each.importer, each.imported) for each in imports() if each.late} == set(LATE_IMPORTS)


def test_modules_are_imported_by_name_only_where_there_is_a_reason():
    asked = {each.importer for each in imports() if top_of(each.imported) == "importlib"}
    calls = {
        module
        for module in modules()
        for node, _, _ in walk(tree_of(module))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
    }
    assert calls == set(DYNAMIC_IMPORTS)
    assert calls <= asked
