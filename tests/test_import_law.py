"""Who may import whom. The law is in docs/design.md; this reads what the source says."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "handlers", "waterspout", "wsgi_app")

#: Import nothing of ours but each other.
LEAVES = {
    "waterspout.allocator",
    "waterspout.certificate",
    "waterspout.closing",
    "waterspout.collecting",
    "waterspout.descriptors",
    "waterspout.exceptions",
    "waterspout.exits",
    "waterspout.forwarded",
    "waterspout.framing",
    "waterspout.service.folder",
    "waterspout.service.keys",
    "waterspout.kernel",
    "waterspout.limits",
    "waterspout.listeners",
    "waterspout.logs",
    "waterspout.loopback",
    "waterspout.notifying",
    "waterspout.option_types",
    "waterspout.options",
    "waterspout.http.counting",
    "waterspout.ops.address",
    "waterspout.ops.quantiles",
    "waterspout.origin",
    "waterspout.proxies",
    "waterspout.signals",
    "waterspout.service.sites",
    "waterspout.service.sniffing",
    "waterspout.tally",
    "waterspout.validity",
    "waterspout.wsgi.bulkheads",
    "waterspout.wsgi.command",
    "waterspout.wsgi.ends",
    "waterspout.wsgi.environ",
    "waterspout.wsgi.fields",
    "waterspout.wsgi.frames",
    "waterspout.wsgi.naming",
    "waterspout.wsgi.pace",
    "waterspout.wsgi.response",
}
#: Values in, values out: nothing that does I/O, and no event loop.
PURE = {
    "waterspout.exceptions",
    "waterspout.forwarded",
    "waterspout.framing",
    "waterspout.http.body",
    "waterspout.http.head",
    "waterspout.http.parser",
    "waterspout.limits",
    "waterspout.loopback",
    "waterspout.ops.address",
    "waterspout.ops.figures",
    "waterspout.ops.quantiles",
    "waterspout.service.sites",
    "waterspout.tally",
    "waterspout.validity",
    "waterspout.wsgi.bulkheads",
    "waterspout.wsgi.environ",
    "waterspout.wsgi.fields",
    "waterspout.wsgi.frames",
    "waterspout.wsgi.naming",
    "waterspout.wsgi.pace",
    "waterspout.wsgi.response",
}
IMPURE = {"asyncio", "select", "socket", "subprocess", "threading", "tornado", "uvloop"}
#: Each may import those before it, never one behind it, not even by way of others.
LAYERS = (
    {"lane", "worker", "body"},
    {"pool"},
    {"container"},
    {"application"},
    {"server", "cli"},
)
#: (module, what it imports inside a function) and why that is right.
LATE_IMPORTS = {
    ("waterspout.wsgi.loading", "werkzeug.debug"): "optional: only --debug of a Flask app has it",
    ("waterspout.wsgi.linking", "waterspout.routing.urls"): "the WSGI process of an app that is not Flask's "
    "does without Werkzeug",
    ("waterspout.reloading", "watchfiles"): "optional: only --reload wants it",
    ("waterspout.cli", "uvloop"): "optional: there is none for Windows and PyPy",
}
#: Who imports by name, at run time, and why.
DYNAMIC_IMPORTS = {
    "waterspout": "its interface is loaded when first used, so that a WSGI process stays small",
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


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node, late=False, typing=False):
    """Every statement below, with where it stands."""
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
    """What each module of ours imports of ours when it is itself imported."""
    edges = {module: set() for module in modules()}
    for found in imports():
        if not found.late and not found.typing and found.imported in modules():
            edges[found.importer].add(found.imported)
    return edges


@cache
def reachable(module):
    """All modules of ours that come with `module`."""
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


def engine_module(name):
    """The engine's module of this short name."""
    return next(module for module in (f"waterspout.wsgi.{name}", f"waterspout.{name}") if module in modules())


def test_the_reader_of_imports_reads_something():
    assert {"waterspout.wsgi.pool", "app.application", "handlers", "wsgi_app"} <= set(modules())
    assert "waterspout.wsgi.exchange" in graph()["waterspout.wsgi.pool"]
    assert "waterspout.limits" in graph()["waterspout.wsgi.pool"]
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


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_a_leaf_imports_only_leaves(leaf):
    assert reachable(leaf) - {"waterspout"} <= LEAVES


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_is_pure_imports_nothing_that_does_anything(module):
    asked = {top_of(each.imported) for each in imports() if each.importer in {module, *reachable(module)}}
    assert asked & IMPURE == set()


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (low, high)
        for rank, layer in enumerate(LAYERS)
        for low in sorted(layer)
        for above in LAYERS[rank + 1 :]
        for high in sorted(above)
    ],
)
def test_no_layer_reaches_one_above_it(low, high):
    assert engine_module(high) not in reachable(engine_module(low))


@pytest.mark.parametrize(("one", "other"), [("http", "wsgi"), ("wsgi", "http")])
def test_http_and_wsgi_stand_beside_each_other(one, other):
    prefix = f"waterspout.{other}"
    assert not [
        (each.importer, each.imported)
        for each in imports()
        if f"{each.importer}.".startswith(f"waterspout.{one}.")
        and f"{each.imported}.".startswith(f"{prefix}.")
    ]


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
