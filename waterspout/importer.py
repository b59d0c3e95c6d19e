"""Turns `MODULE:NAME` and `MODULE:FACTORY()` into objects, and failures into one clear line."""

from __future__ import annotations

import difflib
import gc
import inspect
import os
import re
import sys
import traceback
from functools import cache
from importlib import import_module
from itertools import accumulate
from keyword import iskeyword
from typing import Any, Final

from waterspout.exceptions import TargetNotFound, TargetRaised
from waterspout.limits import CAUSE_TEXT
from waterspout.signature import read_signature, takes

#: Also one that no `import` statement could name (`my-app.py`): Python finds its file all the same.
_DOTTED: Final = r"[\w-]+(?:\.[\w-]+)*"
_SPEC: Final = re.compile(rf"({_DOTTED}):([A-Za-z_][\w.]*)(\(\))?")
#: A call with something between the parentheses.
_CALL: Final = re.compile(rf"({_DOTTED}):([A-Za-z_]\w*)(\((?!\s*\)).+\))")
#: A module alone, or its file.
_MODULE: Final = re.compile(r"([A-Za-z_][\w-]*(?:[./][A-Za-z_][\w-]*)*?)(?:[.](app|application)|[.]py)?")
#: What an app is usually called, and what makes one.
_APPS: Final = ("app", "application")
_FACTORIES: Final = ("create_app", "make_app")
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
#: Packages that the user has named: they are the user's own, even if installed.
_named: set[str] = set()


def find_home() -> str:
    """The current directory under the shell's name for it, which may contain symbolic links: if one leads to
    the current release, new WSGI processes find the new release there.
    """
    named = os.environ.get("PWD", "")
    try:
        here = os.getcwd()
    except OSError:
        return named or "a directory that is gone"
    try:
        is_the_same = os.path.isabs(named) and os.path.samefile(named, here)
    except OSError:
        is_the_same = False
    return named if is_the_same else here


class Home:
    """The directory that the server was started in. `path` is None until that is known, which never happens
    for an application in another program.
    """

    path: str | None = None


def look_here() -> None:
    """Look for modules in the current directory, too; in this one, even if the app changes to another later.
    WSGI processes are started there.
    """
    Home.path = find_home()
    if Home.path not in sys.path:
        sys.path.insert(0, Home.path)


def resolve(spec: str, like: str = "mypackage.web:app") -> Any:
    """Import what `spec` names; with `()` after the name, call it without arguments. `like`: an example for
    the error about any other form.

    Raises TargetNotFound: not of this form, or no such module or name. TargetRaised: the module, what it
    loads for that name, or the factory raised.
    """
    module_name, path, call = split_spec(spec, like)
    found = _import(spec, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except (Exception, SystemExit) as error:  # from a module that loads the name only now (PEP 562)
            if not _is_missing(error, found, name):
                raise TargetRaised(describe(spec, error)) from error
            near = _suggest(found, name, module_name)
            raise TargetNotFound(f"{spec!r}: {module_name!r} has no {path!r}{near}") from None
    if not call:
        return found
    _check_factory(spec, found)
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise TargetRaised(describe(spec, error)) from error


def resolve_callable(spec: str) -> Any:
    """`resolve`, for what must be a WSGI callable. Raises TargetNotFound, TargetRaised."""
    found = resolve(spec)
    check_no_tornado(spec, found)
    if not callable(found):
        hint = "; does the factory return the app?" if found is None and spec.endswith("()") else ""
        if inspect.ismodule(found):
            hint = _suggest_for_module(spec, found)
        raise TargetNotFound(f"{spec!r} is not a WSGI callable: its type is {type(found).__name__}{hint}")
    if fault := find_fault(found, "" if spec.endswith("()") else f"{spec}()"):
        raise TargetNotFound(f"{spec!r} {fault}")
    return found


def find_fault(app: Any, call: str) -> str:
    """Why a callable can't be a WSGI app, as far as Python can tell, to follow its name; "": it can. `call`
    is what to write if it is a factory.
    """
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return "is an async (ASGI) app; Waterspout serves WSGI apps"
    is_function, named = inspect.isfunction(app), _SPEC.fullmatch(call)
    has_two = takes(app, 2)
    if has_two and not (is_function and named and named[2] in _FACTORIES and not _is_spelled_out(app)):
        return ""
    hint = ""
    if call and takes(app, 0):
        hint = f": if it is a factory, write {call}"
    elif is_function and named:
        hint = f": if it is a factory, it needs arguments: {_spell_call(named[1], named[2])}"
    fault = "has the name of a factory" if has_two else "does not take (environ, start_response)"
    return f"{fault}{hint}"


def _is_spelled_out(function: Any) -> bool:
    """Whether its parameters are called as PEP 3333 calls them: it is an app, whatever its own name."""
    signature = read_signature(function)
    return signature is not None and [*signature.parameters][:2] == ["environ", "start_response"]


def check_no_tornado(spec: str, found: Any) -> None:
    """Raises TargetNotFound: it is a whole application, not just one side of it."""
    web = sys.modules.get("tornado.web")  # not imported for this: a WSGI process does without it
    if web is not None and isinstance(found, web.Application):
        raise TargetNotFound(f"{spec!r} is a tornado.web.Application: use waterspout serve {spec}")


def is_loaded(spec: str) -> bool:
    """Whether the object that `spec` names exists here already, because something has imported it."""
    module_name, path, call = split_spec(spec)
    found: Any = sys.modules.get(module_name)
    for name in path.split("."):
        found = inspect.getattr_static(found, name, None)  # a module's __getattr__ would import it now
    return found is not None and not call


def is_made(spec: str) -> bool:
    """Whether the factory that `spec` names has been called here, as far as can be told: a Flask app of its
    module exists here.
    """
    module_name, path, call = split_spec(spec)
    factory: Any = sys.modules.get(module_name)
    if not call or factory is None:
        return False
    for name in path.split("."):
        factory = inspect.getattr_static(factory, name, None)
    homes = (module_name, getattr(factory, "__module__", module_name))
    return any(home in homes for home, _ in find_flasks())


def find_flasks() -> list[tuple[str, frozenset[str]]]:
    """The `import_name` and endpoints of each Flask app that exists here, except those without views, which
    serve nothing: they hold keys (`FlaskSessions`).
    """
    flask: Any = getattr(sys.modules.get("flask"), "Flask", None)
    if flask is None:
        return []
    apps = [each for each in gc.get_objects() if issubclass(type(each), flask)]
    found = [(app.import_name, frozenset(app.view_functions)) for app in apps]
    return [(name, endpoints) for name, endpoints in found if not endpoints <= {"static"}]


def _is_missing(error: BaseException, found: Any, name: str) -> bool:
    """Whether this is an AttributeError for that very name, not one from the code that was run to find it."""
    return isinstance(error, AttributeError) and error.obj is found and error.name == name


def _suggest(found: Any, name: str, module_name: str) -> str:
    if name in _APPS and inspect.ismodule(found):
        if meant := _find_app(found):
            return f"; did you mean {module_name}:{meant}?"
        given = next((each for each in _FACTORIES if inspect.isfunction(_look_up(found, each))), None)
        if given:
            return f"; {given}() makes one, but needs arguments: {_spell_call(module_name, given)}"
    names = [each for each in dir(found) if not inspect.ismodule(_look_up(found, each))]
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _suggest_for_module(spec: str, found: Any) -> str:
    """A module of a package may have the name of the app that is in it, or beside it in the package."""
    module_name = split_spec(spec)[0]
    for home, module in ((found.__name__, found), (module_name, sys.modules.get(module_name))):
        if meant := _find_app(module):
            return f"; did you mean {home}:{meant}?"
    return ""


def _find_app(module: Any) -> str:
    """What to write after the module's name for the app that is in it; "": none is found."""
    app = next((each for each in _APPS if callable(_look_up(module, each))), "")
    factory = next((each for each in _FACTORIES if callable(_look_up(module, each))), "")
    made = f"{factory}()" if factory and takes(_look_up(module, factory), 0) else ""
    return app or made or _find_flask(module)


def _find_flask(module: Any) -> str:
    """The name of a Flask app in it, whatever that is; "": there is none."""
    flask: Any = getattr(sys.modules.get("flask"), "Flask", None)
    names = read_names(module).items() if flask is not None else ()
    # By its type: an instance of `LocalProxy`, as `flask.current_app` is, may not be asked what it is.
    return next((name for name, value in names if issubclass(type(value), flask)), "")


def _look_up(module: Any, name: str) -> Any:
    # Statically: otherwise a module's __getattr__ would import it now.
    return inspect.getattr_static(module, name, None)


def suggest_spec(text: str, like: str) -> str:
    """What `text` was probably meant to be, if it is a module or a file, with or without a name after a
    colon; otherwise `like`, an example.
    """
    place, _, name = text.partition(":")
    match = _MODULE.fullmatch(place)
    if match is None:
        return like
    name = name or match[2] or like.partition(":")[2]
    meant = f"{match[1].replace('/', '.')}:{name}{'()' if name in _FACTORIES else ''}"
    return meant if _SPEC.fullmatch(meant) else like


def split_spec(spec: str, like: str = "mypackage.web:app") -> tuple[str, str, bool]:
    """The module, the dotted name in it, whether to call that. Raises TargetNotFound: not of that form."""
    match = _SPEC.fullmatch(spec)
    if match is None and (call := _CALL.fullmatch(spec)):
        raise TargetNotFound(
            f"{spec!r}: arguments can't be given here: {_spell_call(*call.groups())}, or a factory without "
            "arguments"
        )
    if match is None:
        raise TargetNotFound(
            f"{spec!r}: write MODULE:NAME or MODULE:FACTORY(), like {suggest_spec(spec, like)}"
        )
    return match[1], match[2], bool(match[3])


def _spell_call(module: str, factory: str, arguments: str = "(...)") -> str:
    """Advice on how to call a factory with arguments."""
    if not _is_importable(module):
        made = f'import_module("{module}").{factory}{arguments}'
        return f"write a module with the lines `from importlib import import_module` and `app = {made}`"
    name = factory.partition(".")[0]
    return f"write a module with the lines `from {module} import {name}` and `app = {factory}{arguments}`"


def _is_importable(module: str) -> bool:
    """Whether an `import` statement can name it."""
    return all(part.isidentifier() and not iskeyword(part) for part in module.split("."))


def _check_factory(spec: str, found: Any) -> None:
    if not callable(found):
        raise TargetNotFound(f"{spec!r}: this is not callable: leave out the ()")
    if not takes(found, 0):
        if not (inspect.isroutine(found) or inspect.isclass(found)):
            kind = type(found).__name__
            raise TargetNotFound(f"{spec!r}: this is no factory, its type is {kind}: leave out the ()")
        module, factory, _ = split_spec(spec)
        raise TargetNotFound(
            f"{spec!r}: a factory is called without arguments, and this one needs some: "
            f"{_spell_call(module, factory)}"
        )


def _import(spec: str, module_name: str) -> Any:
    _named.add(module_name.partition(".")[0])
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        # Only the requested module: if *it* can't find another one, that is its own failure.
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            meant = f"; did you mean {spec.replace('.py:', ':')!r}?" if ".py:" in spec else ""
            home = find_home()
            raise TargetNotFound(
                f"{spec!r}: there is no module {error.name!r} in {home}{_find_obstacle(home, module_name)}, "
                f"nor among the packages of {sys.executable}{meant}"
            ) from None
        raise TargetRaised(describe(spec, error)) from error
    except (Exception, SystemExit) as error:
        raise TargetRaised(describe(spec, error)) from error


def _find_obstacle(home: str, module_name: str) -> str:
    """What keeps the module from being found there at all, in parentheses; "": nothing does."""
    if os.path.isabs(home) and not os.path.isdir(home):
        return " (which does not exist)"
    unreadable = _find_unreadable(home, module_name)
    return f" ({unreadable} can't be read: Permission denied)" if unreadable else ""


def _find_unreadable(home: str, module_name: str) -> str:
    """The folder on the module's way that this user may not read; "": there is none. Python looks into no
    such folder, and doesn't say so.
    """
    folders = accumulate(module_name.split("."), os.path.join, initial=home)
    closed = (each for each in folders if os.path.isdir(each) and not os.access(each, os.R_OK | os.X_OK))
    return next(closed, "")


def describe(spec: str, error: BaseException) -> str:
    """One line: what was raised, the last frame and, if that is a library's, the user's own last frame; the
    original cause; and a command that shows the whole traceback.
    """
    said = f"{spec!r} raised {_name(error)}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_foreign(frame.filename)]
    places = [_place(frame) for frame in own[-1:]]
    if isinstance(error, SyntaxError) and error.filename:
        places.append(f"{error.filename}:{error.lineno}")  # a place that is in no frame
    else:
        places += [_place(frame) for frame in frames[-1:]]
    by_way = ", via ".join(dict.fromkeys(reversed(places)))
    reason = _find_reason(error) + _find_closed(error)
    return f"{said} ({by_way}){reason}; {_show(spec)} shows the whole traceback"


def _find_closed(error: BaseException) -> str:
    """The folder of what could not be imported, if this user may not read that; "": it is not that."""
    if not isinstance(error, ImportError) or not error.name:
        return ""
    unreadable = next(filter(None, (_find_unreadable(home, error.name) for home in sys.path)), "")
    return f"; {unreadable} can't be read: Permission denied" if unreadable else ""


def _name(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split()) or "no message"
    except Exception:  # its own __str__
        text = "its message can't be read"
    return f"{type(error).__name__}: {text}"


def _find_reason(error: BaseException) -> str:
    """The innermost cause, with which the traceback would begin; "": the error has none."""
    inner, seen = error, {id(error)}
    while True:
        deeper = inner.__cause__ if inner.__suppress_context__ else inner.__context__
        if deeper is None or id(deeper) in seen:
            break
        seen.add(id(deeper))
        inner = deeper
    if inner is error:
        return ""
    said = _name(inner)
    return f"; because of {said[:CAUSE_TEXT]}{' ...' if len(said) > CAUSE_TEXT else ''}"


def _show(spec: str) -> str:
    """A shell command that does the same. (`--debug` is refused where others can reach the server.)"""
    module, name, call = split_spec(spec)
    is_imported = module in sys.modules  # then it was the name that raised
    then = f".{name}{'()' if call else ''}" if call or is_imported else ""
    if _is_importable(module):
        code = f"import {module}{f'; {module}{then}' if then else ''}"
    else:
        code = f'from importlib import import_module; import_module("{module}"){then}'
    return f"{sys.executable or 'python'} -c '{code}'"


def _place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def is_ours(filename: str) -> bool:
    """Whether it is a file of this package."""
    return filename.startswith(os.path.join(os.path.dirname(__file__), ""))


def is_foreign(filename: str) -> bool:
    """Whether it belongs to the standard library, an installed package, or us."""
    if any(_is_in(filename, sys.modules.get(name)) for name in list(_named)):
        return False
    return filename.startswith(_find_homes()) or _is_in_packages(filename)


def is_installed(filename: str) -> bool:
    """Whether it belongs to an installed package other than this one."""
    return _is_in_packages(filename) and not is_ours(filename)


def _is_in_packages(filename: str) -> bool:
    return not _INSTALLED.isdisjoint(filename.split(os.sep))


def _is_in(filename: str, module: Any) -> bool:
    names = read_names(module)
    homes = [os.path.join(home, "") for home in names.get("__path__", ())]
    return filename == names.get("__file__") or filename.startswith(tuple(homes))


def read_names(module: Any) -> dict[str, Any]:
    """The names of what `sys.modules` has as a module; none of what is not one. An attribute is not asked
    for: that would load a module made by `importlib.util.LazyLoader`.
    """
    try:
        names: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return names


@cache
def _find_homes() -> tuple[str, ...]:
    # Not with sysconfig, which imports: this may be called when no descriptor is left.
    homes = [os.path.dirname(__file__), os.path.dirname(os.__file__)]
    linked = map(os.path.realpath, homes)  # Homebrew's Python names its own folders by symbolic links
    return ("<", *(os.path.join(home, "") for home in (*homes, *linked)))
