"""Limits and times, with their reasons. Pure: imports nothing of ours.

Rule: a limit that an operator may want to change is an option (`waterspout.options`); a value here is its
default, or a property of the protocol that nobody should need to change.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# --- defaults of options ---------------------------------------------------------------------------------

#: WSGI processes. One, so that an app that keeps state in a module keeps working.
WSGI_WORKERS = 1
#: Lanes (threads) in each WSGI process, or in this one when there is none.
WSGI_THREADS = 8
#: Requests that wait for a lane; one more is answered 503.
WSGI_QUEUE = 256
#: A request that has waited this long for a lane is answered 503: its client has better uses for the time,
#: and in a longer queue nobody would be served in time (seconds).
WSGI_QUEUE_TIMEOUT = 10.0
#: A view that sends nothing for this long is answered 504; nginx's proxy_read_timeout is the same (seconds).
WSGI_TIMEOUT = 60.0
#: How far the CPU priority of WSGI processes is below the event loop's: nice(1)'s 0 to 19, or NICE_IDLE, only
#: idle CPU time (SCHED_IDLE of sched(7)); NICE_AUTO: by the number of cores.
NICE_AUTO = -1
NICE_IDLE = 20
WSGI_NICE = NICE_AUTO
#: With several cores: views get a tenth of a core that the loop wants, and enough of one that other programs
#: want.
NICE_SEVERAL_CORES = 10
#: With one core for both, a lower priority makes the loop interrupt the views for every single reply, which
#: costs a third of the throughput of small views. This does not, and leaves the loop three quarters when both
#: want all.
NICE_ONE_CORE = 5
#: Largest request body for the WSGI app and for streaming handlers (bytes).
MAX_BODY_SIZE = 1 * GIB
#: Largest body for a native handler that gets it whole: it is held in the event loop's memory (bytes).
NATIVE_MAX_BODY_SIZE = 10 * MIB
#: ... and those of all clients together, and their WebSocket messages that are not complete (bytes).
NATIVE_BUFFER = 512 * MIB
#: Running requests get this long to finish when the server stops (seconds).
GRACEFUL_TIMEOUT = 30.0
#: Data that slow clients have not taken, or not finished sending, waits in a temporary file of at most this
#: size, so that no lane waits for them. Replies and bodies of all clients together; 0: no file (bytes).
WSGI_SPOOL = 256 * MIB
#: ... and at most this much of one reply (bytes).
WSGI_SPOOL_REPLY = 16 * MIB
#: Messages that wait for one subscriber; one more pushes out the oldest.
SUBSCRIBER_QUEUE = 256

#: Longest chain of trusted proxies: entries of a list beyond that are not read.
PROXY_HOPS = 32

# --- request bodies --------------------------------------------------------------------------------------

#: A body up to this travels with its request: the view runs once it has arrived, and a slow sender holds no
#: lane. Larger ones are sent as the view reads. nginx's client_body_buffer_size is 8 or 16 KiB (bytes).
SMALL_BODY = 64 * KIB
#: How much of a body a lane worker asks for ahead of what the view reads: enough to stream at full rate
#: over a socket pair, small enough that a pool of lanes stays within a few MiB (bytes).
READ_WINDOW = 256 * KIB
#: After a reply that came before the end of the request's body, or of its head, the rest is read and thrown
#: away until nothing has come for this long, so that a reset can't eat the reply (RFC 9112 section 9.6). What
#: comes behind a last request is thrown away for this long in all (seconds).
LINGER = 2.0
#: ... and for this long at most: Apache and Varnish pass on no reply before they have sent all of an upload,
#: as slowly as their client sends it (seconds).
LINGER_LONGEST = 30.0
#: ... and at most this much of it: a proxy on the same machine can send that much in that time (bytes).
LINGER_SIZE = 1024 * MIB
#: Reply bytes that the kernel takes ahead of what it can send; its own default is several MiB (bytes).
NOT_SENT = 256 * KIB

# --- slow clients ----------------------------------------------------------------------------------------

#: A client that sends, or takes, this much ...
STRETCH = 64 * KIB
#: ... in this time is not slow. While others wait for a lane, a lane that waits longer for its client to do
#: so is freed: the client is cut (seconds).
STRETCH_TIME = 2.0
#: ... and sooner when the spool is full as well: the slowest makes room for the others (seconds).
STRETCH_TIME_FULL = 0.5
#: A body that has stood still for this long because the spool has no room for more of it waits for a lane as
#: other requests do. More than STRETCH_TIME_FULL: first the slowest makes room for it (seconds).
UPLOAD_STALL = 1.0
#: A client that pauses this long in the middle of its body may be waiting for an answer to what it has sent:
#: its request may have a lane, if one is idle (seconds).
BODY_PAUSE = 0.5
#: A request that expects 100 Continue, and for which no lane is free, gets it after this, and its body is
#: collected: clients send it after a second or so anyway (seconds).
EXPECT_PATIENCE = 1.0
#: How often to check for slow clients of the WSGI app, while there are any that might be (seconds).
SLOW_LOOK = 0.1
#: ... if there are no more of them than this; otherwise less often: 500 cost a millisecond or two.
SLOW_LOOK_CLIENTS = 500
#: Block size for reading and writing a temporary file (bytes).
SPOOL_BLOCK = 64 * KIB
#: Blocks of a spool that stay in memory ...
SPOOL_KEPT = 2
#: ... and how many more may be on their way to the disk.
SPOOL_AHEAD = 2
#: Time between two log lines about slow clients that are cut, or a disk that fails (seconds).
SLOW_SAID_PAUSE = 5.0
#: A Content-Length of more digits than this is nonsense; int() of 5000 digits costs time, too.
CONTENT_LENGTH_DIGITS = 64

#: Time between two log lines about clients for whose bodies there is no memory (seconds).
BUFFER_SAID_PAUSE = 60.0

# --- the HTTP connection ------------------------------------------------------------------------------------

#: Connections that wait to be accepted; the kernel's net.core.somaxconn caps it.
BACKLOG = 1024
#: So many of them are accepted in one turn of the loop: others must be served, too.
ACCEPTS = 64
#: Servers that listen in one folder take turns, but none waits longer: another program may lock it (seconds).
LISTEN_TURN = 2.0
#: Longest request line; Apache's LimitRequestLine is 8190 (bytes).
REQUEST_LINE = 8190
#: Largest head, request line and all fields: Tornado's own max_header_size (bytes).
HEAD_SIZE = 64 * KIB
#: Header lines of one request: Apache's and gunicorn's default.
HEADER_FIELDS = 100
#: Largest header field, name and value; a cookie jar may fill 4 KiB for each cookie (bytes).
FIELD_SIZE = 16 * KIB
#: A head up to this is remembered by its connection: a client that stays sends the next one with the same
#: fields, which need not be checked again. Larger ones would cost idle connections too much (bytes).
REMEMBERED_HEAD = 4 * KIB
#: Empty lines before a request line are skipped (RFC 9112 section 2.2); old clients send one.
EMPTY_LINES = 2
#: Chunks taken from the data read before others get their turn.
CHUNKS_AT_ONCE = 256
#: Connections that have sent ahead, tiny chunks, further requests or messages, and get their turn in one
#: iteration of the loop: a thousand at once would keep the others waiting for half a second.
TURNS_AT_ONCE = 16
#: TLS handshakes that go on in one iteration of the loop: signing with an RSA key takes a millisecond or two.
HANDSHAKES_AT_ONCE = 4
#: While so many wait for their turn, no further connection is accepted.
HANDSHAKES_WAITING = 32
#: Extension of one chunk, and of all chunks of a body, counting only what exceeds CHUNK_EXTENSION_FREE plus
#: twice the data of its chunk: hardly anybody uses them (bytes).
CHUNK_EXTENSION = 256
CHUNK_EXTENSIONS = 16 * KIB
CHUNK_EXTENSION_FREE = 16
#: The lines after a chunked body (bytes).
TRAILER_SIZE = 8 * KIB
#: A request's head must be complete within this after its first byte, or after the connection (seconds).
HEAD_TIMEOUT = 15.0
#: A timer that fires this late shows that the server has stood still: that time is not counted against its
#: clients (seconds).
STOOD_STILL = 1.0
#: A TLS handshake must be done within this (seconds).
TLS_HANDSHAKE_TIMEOUT = 15.0
#: Time between two log lines about handshakes that failed for the same reason (seconds).
TLS_SAID_PAUSE = 60.0
#: How often to check how long the server's certificate is still valid (seconds).
CERTIFICATE_LOOK = 86400.0
#: A connection may stay this long without a request (seconds).
KEEP_ALIVE_TIMEOUT = 15.0
#: A body may pause this long while the server wants to read (seconds) ...
BODY_TIMEOUT = 15.0
#: ... and must come at this rate after that time; mod_reqtimeout's MinRate (bytes a second).
BODY_RATE = 500
#: A client must take something of its reply within this (seconds).
WRITE_TIMEOUT = 60.0
#: ... and keep to this rate, as far as can be seen (bytes a second) ...
WRITE_RATE = 500
#: ... but it may lag behind that for this long (seconds).
WRITE_GRACE = 15.0
#: A client that half-closed (or left: both look alike) gets what is ready within this (seconds).
HALF_CLOSED = 0.8
#: ... and a request of such a client waits this long for a lane: it may be for nobody (seconds).
HALF_CLOSED_QUEUED = 0.1
#: Bytes after the running request are held up to this; beyond it nothing is read (bytes).
PIPELINE_SIZE = 64 * KIB
#: How much of a reply is passed to the event loop's transport at a time: it may copy what the kernel does not
#: take at once (bytes).
WRITE_SIZE = 128 * KIB
#: A larger piece is not copied after its reply's head: a second write costs less (bytes).
JOINED_SIZE = 64 * KIB
#: Files from this size on go out by sendfile. Below, opening and watching cost what the copies did (bytes).
SENDFILE_FLOOR = 128 * KIB
#: One call of sendfile: a fast client must not keep the loop from the others (bytes).
SENDFILE_PIECE = 1 * MIB
#: When no thread can be started, one that would wait for a disk is tried again after this (seconds).
THREAD_PAUSE = 1.0
#: Largest piece of a body that a delegate is given at once, unless `chunk_size` says otherwise (bytes).
BODY_PIECE = 256 * KIB
#: Time between two log lines saying that no connection can be accepted (seconds).
EXHAUSTED_PAUSE = 60.0
#: How many of the last ones clients don't get, beside what WSGI processes need to be started: for the
#: operations address, for files, and for what handlers connect to.
KEPT_DESCRIPTORS = 16
#: When none are left, connections without a request for this long make room (seconds).
IDLE_FOR_OTHERS = 5.0
#: When the server stops, an idle client may have a request on its way, which has this long to be read: to a
#: proxy a closed connection is a failure, and for a POST one that it may not retry (seconds).
DRAIN_IDLE = 0.5
#: Clients that have connected by then are accepted before it stops listening, unless that takes longer: they
#: may come without end (seconds).
LAST_ACCEPT = 1.0
#: How often, at least, to check for slow clients (seconds).
SWEEP_INTERVAL = 1.0
#: ... and how many connections in one turn of the loop: to end them all takes 7 ms.
CHECKED_AT_ONCE = 200
#: A WebSocket's `open()` that has run for this long is logged: no message is read meanwhile (seconds).
OPEN_SAID = 10.0

# --- lanes -----------------------------------------------------------------------------------------------

#: Largest control frame or head on a lane. A reply head past this is the app's error (bytes).
FRAME_LIMIT = 1 * MIB
#: ... so this is the most that `--limit-request-head` may be: `marshal` takes two bytes for a non-ASCII
#: character, and twelve for an empty field, which has four in a head (bytes).
HEAD_SIZE_MOST = FRAME_LIMIT // 4
#: Largest body frame: between two of them a lane worker checks whether the client is still there (bytes).
DATA_FRAME = 256 * KIB
#: A whole reply of at most this, complete with its first chunk, is one frame (bytes).
SMALL_REPLY = 64 * KIB
#: One read from a lane. `recv` allocates it whole before it reads: from 128 KiB on, malloc maps fresh pages
#: and gives them back for every request, which costs more than a small view does (bytes).
LANE_READ = 64 * KIB
#: A request of at most this is one write, which the worker reads whole or not at all (bytes).
ONE_READ = 16 * KIB
#: Largest request kept ready in the backlog of a lane: a page and a packet of its pipe (bytes).
PACKET = 4 * KIB
#: That pipe, which thus holds 64 of them, and the one for answers (bytes).
REQUESTS_SIZE = 64 * PACKET
ANSWERS_SIZE = 512 * KIB
#: One read of answers (bytes).
ANSWERS_READ = 64 * KIB
#: How many lanes of a process have a backlog. One is enough until it meets a slow view.
BACKLOGS = 8
#: How often the event loop checks backlogs that are in use, and those behind a slow view (seconds). With one
#: core for both, three checks in this time cost a tenth of the throughput of a small view ...
BACKLOG_LOOK = 0.003
BACKLOG_LOOK_SLOW = 0.05
#: ... and after this many without progress, what the worker has not taken is taken back.
BACKLOG_PATIENCE = 2
#: ... but this many if the worker is ready to run and gets no core: other lanes would fare the same.
BACKLOG_STARVING = 17
#: Nothing is put into a backlog behind a request that has run alone for longer (seconds).
BACKLOG_FRESH = 0.002
#: A slow view is no reason to spread requests over lanes if this many in a row before it were quick.
SPREAD_TOLERANCE = 100
#: When views are found to wait, each request gets a lane of its own: for how long at first, and at most, when
#: that happens again and again (seconds).
SPREAD_TIME = (0.05, 2.0)
#: A view that ran longer has its reply sent to the event loop at once (seconds).
QUICK_VIEW = 0.001
#: Where views have one core with the event loop, one that ran no longer is no reason to wake that before all
#: that is queued is done (seconds).
BRIEF_VIEW = 0.0003
#: Smallest block that `wsgi.file_wrapper` reads: Werkzeug suggests 8 KiB, a frame a block (bytes).
FILE_BLOCK = 128 * KIB

# --- WSGI processes --------------------------------------------------------------------------------------

#: A WSGI process must have imported its app within this, or the timeout of views, if that is longer
#: (seconds).
READY_TIMEOUT = 120.0
#: One that has been loading for this long is logged, with the place where it is (seconds).
LOADING_SAID = 10.0
#: ... and again this often if it is loaded in the server itself, which nothing ends (seconds).
LOADING_SAID_AGAIN = 60.0
#: The thread that logs this gets this long to end, which takes no time unless nobody reads the log (seconds).
LATENESS_JOIN = 1.0
#: A SIGHUP during a reload ends the new processes if they have been loading for this long: whatever they hang
#: in may have been fixed. Before that it waits for them (seconds).
RELOAD_ANEW = 5.0
#: Pause before the next try when a WSGI process died before it was ready: from, to (seconds). It doubles.
RESTART_DELAY = (0.1, 5.0)
#: ... and for one that had been ready, or was killed from outside: the app itself can be loaded.
READY_RESTART_DELAY = (0.1, 0.5)
#: ... and when no descriptor was left to start it: a client that leaves frees one.
STARVED_DELAY = 1.0
#: One that dies sooner than this after it was ready counts as one that did not come up (seconds).
SHORT_LIFE = 5.0
#: This many such deaths in a row are a crash loop: a minute or so of trying ...
CRASH_LOOP = 20
#: ... and from then on there is one try per this time, so that an app whose database comes back is served
#: again without intervention (seconds) ...
CRASH_LOOP_DELAY = 60.0
#: ... or per this if it had been ready: one request that kills it must not make it unavailable to all others.
READY_CRASH_LOOP_DELAY = 5.0
#: A process that is replaced because of its requests, size or stuck lanes gets this long to finish what it
#: runs: there is no hurry, and a long download must not be cut for housekeeping (seconds).
RECYCLE_GRACE = 600.0
#: While this many times `--wsgi-workers` are still finishing what they run, no more are recycled or reloaded.
DRAINING_CREWS = 2
#: How often, at least, everything that runs on lanes is checked (seconds).
WATCH_INTERVAL = 1.0
#: How often the size of WSGI processes is checked (seconds).
RSS_INTERVAL = 2.0
#: When all lanes have been busy for this long, that is logged ...
BUSY_TIME = 5.0
#: ... and not again for this long (seconds).
BUSY_PAUSE = 60.0
#: Time between two log lines saying that there are no lanes, for lack of threads or descriptors (seconds).
SCARCE_PAUSE = 60.0
#: Longest text that says why an app can't be loaded (characters): some exceptions quote the whole of a
#: document that can't be parsed.
FAILURE_TEXT = 10_000
#: ... and the longest one for its cause: the rest is in the traceback.
CAUSE_TEXT = 300
#: The place where a view, or an app being loaded, hangs is logged: in at most this many characters ...
PLACE_TEXT = 300
#: ... the first of this many frames, from the innermost, that is not a library's ...
PLACE_FRAMES = 1000
#: ... if the process can answer within this; one whose interpreter lock is held can't (seconds) ...
PLACE_PATIENCE = 1.0
#: ... for this many threads of a process at a time: its control channel holds some 270 orders, incl. pings.
PLACES_ASKED = 32
#: A WSGI process whose server is gone ends within this, whatever it runs (seconds).
ORPHAN_GRACE = 2.0
#: timeout(1), make and some supervisors signal the process and its group: that is one stop (seconds).
SAME_SIGNAL = 1.0
#: When the server or a WSGI process has been told to end and has not within this, the log says what it waits
#: for (seconds).
END_SAID = 0.5
#: ... and if it does not answer, as in its last moments, or on a busy machine, it is asked again after this:
#: most have ended by then (seconds).
END_GUESSED = 2.0
#: After being told to stop, a WSGI process gets this long to exit: agents send what they have gathered, which
#: is just as valuable if a view hangs (seconds).
EXIT_GRACE = 3.0
#: ... of which its views, whose requests are over or cut, get this much (seconds).
VIEWS_GRACE = 0.3
#: ... but this if one still runs and no thread gives a sign of life, or if it never came up (seconds).
CUT_GRACE = 0.5
#: An application's `stop()` gets this much longer than it was told, EXIT_GRACE included: after that the
#: shutdown goes on without it (seconds).
STOP_GRACE = 5.0
#: A server whose event loop stands still while it stops is ended this long after its graceful timeout: longer
#: than a stop takes in which every step times out (seconds).
STANDING_GRACE = 20.0
#: A pool that drains checks at least this often whether something still runs (seconds).
DRAIN_LOOK = 0.5
#: Time between two log lines saying that requests are refused (seconds).
REFUSED_PAUSE = 5.0
#: Time between two log lines saying that sessions are signed with an unknown key, or are kept elsewhere:
#: clients send them with each request, and anybody can forge them (seconds).
FOREIGN_SESSIONS_PAUSE = 60.0
#: How long a 503 tells the client to wait (seconds).
RETRY_AFTER = 1

# --- memory ----------------------------------------------------------------------------------------------

#: The garbage collector's thresholds in the server (gc.set_threshold). The objects kept alive by a thousand
#: concurrent requests stay below the first.
GC_THRESHOLDS = (50_000, 20, 20)
#: A reference cycle that holds megabytes counts as a few objects there. So it also runs when the process's
#: memory has grown by this much (bytes), and by this share of what was left after the last run; on all
#: generations when it has grown by twice as much ...
COLLECT_GROWTH = 64 * MIB
COLLECT_GROWTH_SHARE = 0.25
#: ... which is checked this often (seconds).
COLLECT_LOOK = 0.25
#: Nobody is served while it runs on all generations: 8 ms with 1000 WebSockets, 115 ms with 10,000. It may
#: take this share of the time, so that few of the slowest hundredth of requests are slow because of it ...
COLLECT_SHARE = 0.0025
#: ... and this share on the young generations: mostly below 1 ms, and 8 ms more when it frees 128 MiB.
COLLECT_YOUNG_SHARE = 0.05
#: Freed memory at the end of its heap that the server's process keeps: some iterations at full rate (bytes).
FREED_MEMORY = 4 * MIB
#: Blocks from this size on are mapped, and given back when freed: larger than any piece of a body that the
#: loop handles at a time (bytes).
MAPPED_BLOCK = 1 * MIB

# --- publish ---------------------------------------------------------------------------------------------

#: Published messages waiting for the event loop in one process; beyond that the oldest are dropped.
OUTBOX_MESSAGES = 10_000
#: ... and their bytes, together.
OUTBOX_SIZE = 64 * MIB
#: Largest published message, encoded (bytes).
MESSAGE_SIZE = 512 * KIB

# --- figures ---------------------------------------------------------------------------------------------

#: The times in `stats()` cover the last one to two of these: recent, and enough of them (seconds).
FIGURES_WINDOW = 60.0
#: How many requests of each pool they name, the longest-running ones: one is the culprit, some may be its
#: victims, and nobody reads more.
LONGEST = 5
#: Longest method and path with which the log, or they, name what a lane runs: a path may have 8 KiB, and its
#: beginning tells whose it is (characters).
VIEW_TEXT = 200
#: How often the event loop's lag is sampled: four wake-ups a second cost nothing that can be measured
#: (seconds).
LAG_INTERVAL = 0.25
#: ... and for how long after the last call of `stats()`, when no operations address needs it (seconds).
LAG_WANTED = 120.0
#: A handler that holds the event loop for this long is named in the log (seconds): clients notice from a
#: tenth of that on, but a busy machine may also hold it for so long.
LOOP_STANDS = 1.0
#: How often the loop is checked, and gives a sign of life (seconds).
LOOP_LOOK = 0.25
#: Time between two such stacks in the log (seconds) ...
LOOP_PAUSE = 60.0
#: ... except for a loop that has stood still this long, perhaps forever (seconds).
LOOP_STUCK = 5.0
#: How long processes of native code have to end when `--reload` restarts the server (seconds).
RESTART_END = 1.0
#: A native request that has not been answered for this long is named in the log (seconds): longer than a
#: long-poll usually takes, since proxies give up after 60.
NATIVE_LATE = 60.0
#: How often to check for them (seconds).
NATIVE_LATE_LOOK = 15.0
#: Longest name of a pool; it appears in log lines and in JSON.
POOL_NAME = 32

# --- live: what keeps open pages up to date ---------------------------------------------------------------

#: Streams, sockets and long-polls of one watch. Each costs a connection and a coroutine, about 10 KiB.
FOLLOWERS = 10_000
#: How many of them are woken in one iteration of the loop: other requests run in between, some 5 ms later.
FOLLOWERS_WOKEN_AT_ONCE = 100
#: Followers are nearly all at the same cursor; the few that are not cost one event each.
EVENTS_KEPT = 64
#: How often a watch with followers asks its source if nothing is announced (seconds).
SOURCE_INTERVAL = 1.0
#: How long it waits for an answer. A connection to a database that is gone may never get one, and no page
#: would hear of anything any more (seconds).
SOURCE_PATIENCE = 10.0
#: Time between two log lines saying that a watch can't ask its source (seconds).
SOURCE_SAID_PAUSE = 60.0
#: A shared value that has been in the making for this long is made anew for whoever asks, for the same
#: reason; one that is slow to make is not made more often than that (seconds).
MAKING_JOINED = 10.0
#: Time between heartbeats, so that each end notices when the other has gone; proxies cut after 60 (seconds).
HEARTBEAT = 15.0
#: A long-poll ends after this. Proxies and browsers commonly give up after 30 or 60 without a byte (seconds).
POLL_PATIENCE = 25.0
#: Followers have nothing to send over a WebSocket; this leaves room for a client library's greeting (bytes).
FOLLOWER_MESSAGE_SIZE = 1 * KIB
#: A handler that has no room left for a client tells it to wait this long (seconds).
NATIVE_RETRY_AFTER = 10

# --- the router ------------------------------------------------------------------------------------------

#: Paths, beside the literal ones, whose match is cached ...
KEPT_PATHS = 1024
#: ... if they are no longer than this (characters).
KEPT_PATH = 128
