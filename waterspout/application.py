"""One port, two worlds: native rules first, the WSGI app for everything else."""

from __future__ import annotations

import sys
import weakref
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from tornado import web
from tornado.httputil import HTTPConnection, HTTPInputError, HTTPMessageDelegate, HTTPServerRequest
from tornado.log import app_log
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, GZipContentEncoding, OutputTransform, RequestHandler
from tornado.websocket import WebSocketProtocol as AnyProtocol

from waterspout import limits
from waterspout.container_settings import CONTAINER_SETTINGS, check_names, doubt_names, make_container
from waterspout.exceptions import ConfigurationError, RequestRefused
from waterspout.http.exchange import Exchange
from waterspout.hub.local import hub
from waterspout.message.proxies import PROXY_SETTINGS, Proxies
from waterspout.message.record import Record, is_logged, record_of, take_over, word_for
from waterspout.message.target import split_target
from waterspout.native.access import ask_before_body
from waterspout.native.buffer import BufferSpace
from waterspout.native.called import is_called, open_called
from waterspout.native.delegate import NativeDelegate, PlainDelegate, Unfound, complete_others, run
from waterspout.native.failure import describe_unmade, fail
from waterspout.native.lean import LeanClasses
from waterspout.native.login import check_loader, doubt_login
from waterspout.native.methods import find_methods, owns
from waterspout.native.original import original
from waterspout.native.request import Request
from waterspout.native.transform import CompressWhole, RecordTransform
from waterspout.opening import Opening, adopt, is_outside
from waterspout.ops.gauges import Gauges
from waterspout.routing.containers import start_containers, stop_containers
from waterspout.routing.gathering import Gathering
from waterspout.routing.route import Match, MovedHandler, OutsideHandler, Route
from waterspout.routing.rulemap import RuleMap
from waterspout.routing.table import Table
from waterspout.websocket.private import is_closing
from waterspout.websocket.protocol import WebSocketProtocol
from waterspout.wsgi.container import Container
from waterspout.wsgi.settings import check_size
from waterspout.wsgi.urls import Endpoints

#: One that somebody has put in its place is called.
_OWN_LOG = original(TornadoApplication.log_request, web)


class Application(TornadoApplication):
    """A `tornado.web.Application` whose last rule is a WSGI app.

    `native`: rules, tried in order, written Flask's way, `("/incidents/<int:id>", Handler)`, or as Tornado's
    regular expressions: see docs/routing.md. `wsgi`: `"module:callable"` or `"module:factory()"`, which run
    in a WSGI process by default, or a WSGI callable, which runs in threads of this process; None: no WSGI
    app, what no rule matches is 404. `settings`, besides all of Tornado's:

    * `wsgi_workers`: WSGI processes; 0 means threads of this process (default: 1 for an import string)
    * `wsgi_threads` (8): lanes in each; `wsgi_queue` (256): how many requests may wait for a lane,
      `wsgi_queue_timeout` (10 s): and for how long
    * `wsgi_pools`, `wsgi_pool_rules`: lanes of their own for some paths, see `Container`
    * `wsgi_timeout` (60 s): for how long a view may send nothing
    * `wsgi_max_requests`, `wsgi_max_requests_jitter`, `wsgi_max_rss` (0, off): when a process is replaced
    * `wsgi_nice` (-1, by the cores): how much nicer than this one WSGI processes are, 0 to 19, or 20: idle
    * `wsgi_spool` (256 MiB): disk space for what slow clients have not taken, or not finished sending;
      `wsgi_spool_reply` (16 MiB): how much of it for one reply
    * `max_body_size` (1 GiB): for the WSGI app and streaming handlers; `native_max_body_size` (10 MiB): for a
      native handler that is handed its body whole; `native_buffer` (512 MiB): memory for such bodies, and for
      WebSocket messages that come in pieces, of all clients together
    * `url_converters` (none): Werkzeug converters for `<name:...>` in native rules, by name
    * `login_loader` (none): a function, or a coroutine function, from a handler to its user or None. With it
      each native handler has to be `authenticated` or `public`, and Tornado's `cross_origin_protection` is on
    * `graceful_timeout` (30 s): how long `stop()` waits
    * `trusted_proxies` (none): networks, as CIDR, of proxies that may say who their client is, and `unix`;
      `proxy_headers` ("x-forwarded"): in which fields, or "forwarded", or "none", or the names of those
      that they set ("x-forwarded-for,x-forwarded-proto"); `root_path` (""): the path that both sides are
      mounted under: see docs/proxies.md

    Raises ConfigurationError for invalid settings. Nothing is started here: `await start()` does that, or
    the first request.
    """

    def __init__(
        self,
        native: Any = None,
        wsgi: str | Callable[..., Any] | Container | None = None,
        default_host: str | None = None,
        transforms: list[type[OutputTransform]] | None = None,
        **settings: Any,
    ) -> None:
        self.container = make_container(wsgi, settings)
        check_loader(settings.get("login_loader"))
        #: Figures that can be read: see docs/stats.md.
        self.gauges = Gauges() if self.container is None else self.container.gauges
        self._answers = self.gauges.native
        if self.container is not None:  # one that was made earlier may have its own settings
            self.max_body_size, self.proxies = self.container.max_body_size, self.container.proxies
        else:
            size = settings.get("max_body_size", limits.MAX_BODY_SIZE)
            self.max_body_size = check_size("max_body_size", size)
            self.proxies = Proxies(**{name: settings[name] for name in PROXY_SETTINGS if name in settings})
        native_size = settings.get("native_max_body_size", limits.NATIVE_MAX_BODY_SIZE)
        self.native_max_body_size = check_size("native_max_body_size", native_size)
        room = check_size("native_buffer", settings.get("native_buffer", limits.NATIVE_BUFFER))
        #: What clients have sent for native handlers, and these hold.
        self.native_buffer = BufferSpace(room)
        self._lean_classes = LeanClasses()
        self._gathering = Gathering(
            self,
            self._lean_classes.__getitem__,
            self.container,
            settings,
        )
        if settings.get("login_loader") is not None:
            # A user known by a cookie is known to requests from other sites' pages, too: the reason why Flask
            # apps have CSRF tokens.
            settings.setdefault("cross_origin_protection", True)
        self._endpoints = None if self.container is None else Endpoints(self.container.link)
        # Tornado makes rules of `static_path` by itself: the setting says that those files are public.
        static_class = settings.get("static_handler_class") if settings.get("static_path") else None
        rules = self._gathering.gather(native or [], settings.get("default_handler_class"), static_class)
        if self.container is not None:
            rules.append((r".*", FallbackHandler, {"fallback": self.container}))
        super().__init__(rules, default_host, None if transforms is None else [*transforms], **settings)
        ours: dict[type[OutputTransform], type[OutputTransform]] = {GZipContentEncoding: CompressWhole}
        self.transforms = [ours.get(transform, transform) for transform in self.transforms]
        self.add_transform(RecordTransform)
        #: Protocols: `WebSocketProtocol`, unless a handler makes its own.
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        #: The event loops on which it has opened the hub: several only in some tests.
        self._loops: set[AbstractEventLoop] = set()
        self._last_loop: AbstractEventLoop | None = None
        #: Whether the graceful timeout is over: then it is the reason for every cancellation.
        self.is_cutting_short = False
        self._lay_table()
        #: Whether no subclass has overridden what `open_exchange` bypasses.
        self._opens_itself = all(
            getattr(getattr(self, name), "__func__", None) is vars(Application)[name]
            for name in ("start_request", "find_handler", "get_handler_delegate")
        )

    def configure(self, **changes: Any) -> None:
        """Change settings before the start, by the names that the constructor takes: those of the WSGI app,
        `debug`, which is only for it, `native_max_body_size` and `native_buffer`.

        Raises ConfigurationError; then nothing is changed.
        """
        check_names(changes)
        native_size = changes.pop("native_max_body_size", self.native_max_body_size)
        check_size("native_max_body_size", native_size)
        room = check_size("native_buffer", changes.pop("native_buffer", self.native_buffer.limit))
        if unknown := changes.keys() - CONTAINER_SETTINGS.keys() - {"debug"}:
            raise ConfigurationError(
                f"{min(unknown)!r} can't be changed here: settings of Tornado's and of your own are given "
                "when the application is made"
            )
        if self.container is not None:
            ours = {CONTAINER_SETTINGS.get(name, name): value for name, value in changes.items()}
            self.container.configure(**ours)
            self.max_body_size, self.proxies = self.container.max_body_size, self.container.proxies
        else:
            size = check_size("max_body_size", changes.get("max_body_size", self.max_body_size))
            told = {name: changes[name] for name in PROXY_SETTINGS if name in changes}
            self.proxies = Proxies(**self.proxies.settings | told) if told else self.proxies
            self.max_body_size = size
            if "graceful_timeout" in changes:
                self.settings["graceful_timeout"] = changes["graceful_timeout"]
        self.native_max_body_size = native_size
        self.native_buffer.limit = room

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the lanes of the WSGI app, and of each `Container` that a rule leads to; harmless when
        repeated. Raises TargetNotFound, TargetRaised: one can't be loaded; PoolError: it is started on
        another event loop, or in another process.

        An application that was never stopped is started anew if the loop that it belonged to is closed.
        """
        self._open_hub()
        try:
            await start_containers(self)
        except BaseException:
            self._close_hub(get_running_loop())
            raise

    async def stop(self, timeout: float | None = None) -> None:
        """Close WebSockets with 1001, end subscriptions, let running WSGI requests finish, stop the lanes.

        `timeout` in seconds; by default the setting `graceful_timeout`. Topics belong to the process, not to
        the application: while another one is open on this event loop, subscriptions on it continue.
        """
        self.close_sockets()
        here = get_running_loop()
        for loop in list(self._loops):
            if loop is here or not loop.is_running():  # else it is still served there, and continues
                self._close_hub(loop)
        await stop_containers(self, timeout)
        self.native_buffer.say_rest()

    @property
    def graceful_timeout(self) -> float:
        """How long a stop waits for running requests (seconds)."""
        if self.container is not None:
            return self.container.pool.settings.graceful_timeout
        return float(self.settings.get("graceful_timeout", limits.GRACEFUL_TIMEOUT))

    def close_sockets(self) -> None:
        """Close every WebSocket with 1001, going away (RFC 6455 section 7.4.1)."""
        for protocol in list(self._sockets):
            if not is_closing(protocol):
                _say_goodbye(protocol)

    @property
    def open_sockets(self) -> int:
        """How many WebSockets are open."""
        return sum(not is_closing(protocol) for protocol in self._sockets)

    @property
    def closing_sockets(self) -> list[WebSocketProtocol]:
        """WebSockets that either side has closed, and whose connections have not ended, or whose handlers
        are still at work on a message. (Those of handlers that make their own protocol are not known.)
        """
        ours = [protocol for protocol in self._sockets if isinstance(protocol, WebSocketProtocol)]
        closing = [protocol for protocol in ours if protocol.is_closing()]
        return [protocol for protocol in closing if protocol.is_handling or not protocol.is_over]

    def _close_hub(self, loop: AbstractEventLoop) -> None:
        self._last_loop = None
        if loop in self._loops:
            self._loops.remove(loop)
            hub.close(loop)

    def _open_hub(self) -> None:
        loop = get_running_loop()
        if loop is self._last_loop:
            return
        if loop in self._loops:
            self._last_loop = loop
            return
        for gone in [gone for gone in self._loops if gone.is_closed()]:
            self._close_hub(gone)
            self._sockets.clear()
        self._loops.add(loop)
        self._last_loop = loop
        self.is_cutting_short = False
        self._lean_classes.clear()  # code that wraps Tornado's methods has done so by now
        for rule_map in self._gathering.maps:
            rule_map.renew(self._lean_classes.__getitem__)
        self._lay_table()
        hub.open()

    @property
    def doubts(self) -> list[str]:
        """Native rules and settings that are probably mistakes, one line each, for people to read."""
        named = doubt_names(self.settings, has_app=self.container is not None)
        login = doubt_login(self._gathering.sent_to_login, self.settings, self.proxies.root_path)
        return list(dict.fromkeys((*self._gathering.doubts, *named, *login)))

    def find_native(self, method: str, path: str) -> type[RequestHandler] | None:
        """The handler that answers `path`, as it is on the wire, if only by redirecting the client to it with
        a slash at its end. None: the WSGI app answers, or nothing; or hosts and nested rules decide.
        """
        table = self._table if self._table.is_current else self._lay_table()
        if not table.is_flat:
            return None
        match = table.find(method, path)
        if match.moved_by is not None:
            match = table.find(method, f"{path}/")
        if match.route is None or match.denied or match.route.container is not None:
            return None
        return match.route.target

    @property
    def native_rules(self) -> int:
        """How many native rules there are."""
        outer, inner = self.default_router.rules[:-1], self.wildcard_router.rules
        counts = [len(rule.target.path_rules) if isinstance(rule.target, RuleMap) else 1 for rule in inner]
        return len(outer) + sum(counts) - (self.container is not None)

    # -- Tornado calls these -----------------------------------------------------------------------------

    def __call__(self, request: HTTPServerRequest) -> Awaitable[None] | None:
        """Answer a request whose body is here, which a function or a handler has passed on."""
        if take_over(request):
            adopt(self.proxies, request)
        return super().__call__(request)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return Opening(self, server_conn, request_conn)

    def open_exchange(self, server_conn: object, exchange: Exchange) -> HTTPMessageDelegate | None:
        """`start_request` for our own server, which has the head by now. Costs a third as much.

        None: the request is complete, and its handler runs.
        """
        head, settings, verdict = exchange.head, self.settings, None
        if head.claims or self.proxies.root_path:
            verdict = self.proxies.judge(exchange, head.target, head.fields)
            if verdict is not None:
                exchange.amend(verdict)
                head = exchange.head
        target = head.target
        path, _, query = target.partition("?")
        if verdict is not None:
            path = verdict.path
        if get_running_loop() is not self._last_loop:
            self._open_hub()
        table = self._table if self._table.is_current else self._lay_table()
        if (
            not self._opens_itself
            or not table.is_flat
            or path[:1] not in ("/", "*")
            or "%00" in path
            or (verdict is not None and verdict.outside)
        ):
            return self.start_request(server_conn, exchange)
        try:
            route, args, kwargs, denied, _ = table.find(head.method, path)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return self.start_request(server_conn, exchange)  # it fails in the same way, and reports it
        if route is None:
            return self.start_request(server_conn, exchange)
        if route.container is not None:
            opened = route.container.start_request(server_conn, exchange)
            opened.allow = denied
            if head.body_length or "upgrade" in head.names or len(head.names) != len(head.fields):
                return opened
            exchange.become_whole()
            opened.open_whole()
            return None
        forgets = "compiled_template_cache" in settings or "static_hash_cache" in settings
        if forgets or denied or not route.is_quick or head.expects_continue:
            return self.start_request(server_conn, exchange)
        limit = min(exchange.max_body_size, self.native_max_body_size)
        body = exchange.become_whole() if head.body_length <= limit else None
        if body is None:
            return self.start_request(server_conn, exchange)
        request = Request(head.method, target, head.version, (path, query), exchange, server_conn)
        if body:
            request.body = body
        try:
            handler = route.handler_class(self, request, **route.arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fail(self, request, error, describe_unmade(route.target, route.arguments)).finish()
            return None
        exchange.task = run(handler, *args, **kwargs) if args or kwargs else run(handler)
        return None

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Native rules see the path of a target in absolute form, as the WSGI app does: otherwise
        `GET http://host/admin` would bypass the native `/admin`. If a converter raises, the answer is 500.
        """
        try:
            return self._find_handler(request, **kwargs)
        except (HTTPInputError, RequestRefused):
            raise  # for the server to answer
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return NativeDelegate(self, request, Unfound(error))

    def _find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if not hasattr(request, "root_path"):
            adopt(self.proxies, request)
        if is_outside(request):
            return self._refuse_outside(request)
        if request.path[:1] not in ("/", "*"):
            _authority, request.path, request.query = split_target(request.uri or "")
        told: Any = request
        told.unowned = None  # an application within another answers for itself
        table = self._table if self._table.is_current else self._lay_table()
        if table.is_flat:
            match = table.find(request.method or "", request.path)
            opened = self.open_match(request, match)
        else:
            opened = self._ask_routers(request)
        return super().find_handler(request, **kwargs) if opened is None else opened

    def _refuse_outside(self, request: HTTPServerRequest) -> Any:
        """Answer 404, as Tornado does if no rule matches."""
        handler_class = self.settings.get("default_handler_class")
        if handler_class:
            arguments = self.settings.get("default_handler_args")
            return self.get_handler_delegate(request, handler_class, arguments)
        return self.get_handler_delegate(request, OutsideHandler, {"status_code": 404})

    def open_match(self, request: HTTPServerRequest, match: Match) -> HTTPMessageDelegate | None:
        """The delegate for the match of a rule; None: none of our rules answers."""
        if match.moved_by is not None:
            location = {"location": match.moved_by.find_location(request)}
            return cast(HTTPMessageDelegate, self.get_handler_delegate(request, MovedHandler, location))
        told: Any = request
        unowned: list[Match] | None = getattr(told, "unowned", None)
        route = match.route
        if route is None:
            return None
        if match.denied and unowned is not None:
            unowned.append(match)
            return None
        if match.denied:
            told.denied = match.denied
        opened = self.get_handler_delegate(request, route.target, route.arguments, match.args, match.kwargs)
        return cast(HTTPMessageDelegate, opened)

    def _ask_routers(self, request: HTTPServerRequest) -> HTTPMessageDelegate | None:
        """What answers if Tornado's routers know more than a table can say: hosts, nested rules. They skip
        a handler that does not own the method (`get_handler_delegate` returns None): it waits in `unowned`.
        """
        told: Any = request
        unowned: list[Match] = []
        told.unowned = unowned
        try:
            opened = self.default_router.find_handler(request)
        finally:
            told.unowned = None
        if opened is None and unowned:
            return self.open_match(request, unowned[0]._replace(denied=_unite(unowned)))
        return open_called(self, request, opened) if is_called(opened) else opened

    def _lay_table(self) -> Table:
        """Make the table of the rules as they are now."""
        self._table = Table(self, self._lean_classes.__getitem__)
        return self._table

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: Any = None,
        path_kwargs: Any = None,
    ) -> Any:
        """The seam. A plain `FallbackHandler` in front of our container is opened as a stream: no buffered
        body, no second parse of forms, any method, no XSRF check. A subclass may guard the app, and goes
        Tornado's way, as every native handler does.

        None, while Tornado's routers are asked: the handler does not own the method.
        """
        self._open_hub()
        told: Any = request
        unowned: list[Match] | None = getattr(told, "unowned", None)
        methods = None if unowned is None else find_methods(target_class)
        if unowned is not None and not owns(methods, request.method or ""):
            route = Route(target_class, self._lean_classes[target_class], target_kwargs or {})
            unowned.append(Match(route, path_args or (), path_kwargs or {}, methods or frozenset()))
            return None
        fallback = (target_kwargs or {}).get("fallback")
        if target_class is FallbackHandler and isinstance(fallback, Container):
            assert request.connection is not None
            exchange = fallback.start_request(request.server_connection, request.connection)
            exchange.request = request
            exchange.allow = _unite(unowned) if unowned else getattr(told, "denied", exchange.allow)
            return exchange
        target_class = self._lean_classes[target_class]
        if not self._caches_templates or getattr(target_class, "_stream_request_body", False):
            stock = super().get_handler_delegate(request, target_class, target_kwargs, path_args, path_kwargs)
            ask_before_body(stock)
            complete_others(stock, target_class)
            return NativeDelegate(self, request, stock)
        plain = PlainDelegate(self, request, target_class, target_kwargs, path_args, path_kwargs)
        if getattr(request, "bodiless", False):  # there is no limit to check
            return plain
        return NativeDelegate(self, request, plain)

    def add_handlers(self, host_pattern: str, host_handlers: Any) -> None:
        super().add_handlers(host_pattern, self._gathering.gather(host_handlers))
        if self.container is not None and self.default_host is not None:
            # Tornado has put those for the default host last, after the WSGI app's, which must stay last.
            rules = self.wildcard_router.rules
            rules.append(rules.pop(-2))

    # -- URLs by name --------------------------------------------------------------------------------------

    def reverse_url(self, name: str, *args: Any, **kwargs: Any) -> str:
        """The path of the native rule of that name, or else of the Flask app's endpoint. `args` are in the
        order of the path. Arguments that a path written Flask's way has no place for become its query.

        Raises KeyError: nothing has that name, or the app has not been loaded yet. ValueError: it can't be
        built from these arguments.
        """
        for rule_map in self._gathering.maps:
            found = rule_map.reverse_url(name, *args, **kwargs)
            if found is not None:
                return found
        native: str | None = self.default_router.reverse_url(name, *args)
        if native is None:
            try:
                if self._endpoints is None:
                    raise KeyError(f"{name} not found in named urls")
                return self._endpoints.build(name, args, kwargs)
            except KeyError as error:
                self._gathering.names.explain(error)
                raise
        if kwargs:
            raise ValueError(f"the rule {name!r} is a regular expression: pass its arguments by position")
        return native

    @property
    def _caches_templates(self) -> bool:
        """If not (in Tornado's debug mode), Tornado's own delegate clears the caches before each request."""
        get = self.settings.get
        return bool(get("compiled_template_cache", True) and get("static_hash_cache", True))

    def log_request(self, handler: RequestHandler) -> None:
        """The access line of a native handler; Tornado's `log_function` setting still overrides it."""
        status = handler.get_status()
        try:  # noqa: SIM105 - `suppress` would cost more than the rest of this
            self._answers[status // 100] += 1
        except (IndexError, TypeError):
            pass  # a handler may set any status; one without a class is not counted
        if "log_function" in self.settings or TornadoApplication.log_request is not _OWN_LOG:
            super().log_request(handler)
            return
        request: Any = handler.request
        if type(request) is Request and "record" not in request.__dict__ and not is_logged():
            request.status = status  # the line is not logged; a record may still be made later
            return
        record = record_of(request)
        record.status = status
        record.bytes_sent += getattr(request.connection, "file_bytes", 0)  # no transform has seen them
        if not record.note and getattr(request.connection, "fell_short", False):
            record.note = word_for(request.connection.refused)
        record.log()

    def log_refused(self, record: Record) -> None:
        """The access line of a request that has no handler, or was answered, or lost, before it had one."""
        with suppress(IndexError):  # a function may answer with any status, as handlers may
            self._answers[record.status // 100] += 1
        record.log()

    def watch_socket(self, protocol: AnyProtocol) -> None:
        """Remember a WebSocket, to close it when the server stops: see `with_protocol`."""
        self._sockets.add(protocol)


def _say_goodbye(protocol: Any) -> None:
    """Close by its handler, whose own `close` may raise: that must not affect the others, nor the stop."""
    if isinstance(protocol, WebSocketProtocol):
        protocol.is_stopped = True
    for close in (protocol.handler.close, protocol.close):
        try:
            close(1001, "the server is stopping")
            return
        except KeyboardInterrupt:
            raise
        except BaseException:
            try:
                protocol.handler.log_exception(*sys.exc_info())
            except Exception:  # its own `log_exception` may raise, too
                app_log.error("Uncaught exception", exc_info=True)


def _unite(matches: list[Match]) -> frozenset[str]:
    """The methods that native handlers own at one path."""
    return frozenset().union(*(match.denied for match in matches))
