"""Which of Tornado's own tests fail on our HTTPServer, and why that is right."""

_TOO_LARGE = "a body over the limit is answered 413 (RFC 9110 section 15.5.14); Tornado says 400"
_BARE_LF = "sends lines that end in a bare LF, which a server on the way may read in another way: refused"
_RAW = "httpserver_test.HTTPServerRawTest.test_chunked_request_body"

#: id of the test, without "tornado.test." -> reason. Exactly these; a test that passes must not be listed.
DIFFERENCES = {
    "httpserver_test.BodyLimitsTest.test_body_size_override_reset": _TOO_LARGE,
    "httpserver_test.BodyLimitsTest.test_large_body_buffered": _TOO_LARGE,
    "httpserver_test.BodyLimitsTest.test_large_body_buffered_chunked": _TOO_LARGE,
    "httpserver_test.BodyLimitsTest.test_large_body_streaming": _TOO_LARGE,
    "httpserver_test.BodyLimitsTest.test_large_body_streaming_chunked": _TOO_LARGE,
    "httpserver_test.HTTPConnectionTest.test_newlines": _BARE_LF,
    f"{_RAW}_duplicate_header": _BARE_LF,
    f"{_RAW}_transfer_encoding_and_content_length": _BARE_LF,
    f"{_RAW}_unsupported_transfer_encoding": _BARE_LF,
    "httpserver_test.KeepAliveTest.test_keepalive_chunked": (
        "sends Transfer-Encoding in HTTP/1.0, where a proxy may not know it: refused (RFC 9112 section 6.1)"
    ),
}

#: The same, for Tornado's tests on our server *and* our Application.
WITH_OUR_APPLICATION = {
    "simple_httpclient_test.ChunkedWithContentLengthTest.test_chunked_with_content_length": (
        "a handler's Transfer-Encoding is dropped: never beside a Content-Length (RFC 9112 section 6.2)"
    ),
    "web_test.DefaultHostMatchingTest.test_default_host_matching": (
        "X-Real-Ip of a peer that is no trusted proxy is removed before anybody sees it"
    ),
    "web_test.RedirectHandlerTest.test_invalid_characters": (
        "a NUL in the path is refused before any handler sees it, and the log says so"
    ),
    "web_test.RequestSummaryTest.test_missing_remote_ip": (
        "what lines of the log say of a request ends in its id"
    ),
    "web_test.UnimplementedHTTPMethodsTest.test_unimplemented_standard_methods": (
        "OPTIONS is answered with the methods that there are; Tornado says 405"
    ),
    "websocket_test.FloodTest.test_pong_most_recent_ping": (
        "looks into Tornado's WebSocketProtocol, and ours is in its place"
    ),
}
