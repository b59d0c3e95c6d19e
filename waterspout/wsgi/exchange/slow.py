"""How an exchange handles a slow client, so that the client never owns a lane."""

from __future__ import annotations

import logging
import time

from waterspout.system.descriptors import describe_limit
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.concluding import Concluding
from waterspout.wsgi.exchange.download import Download
from waterspout.wsgi.exchange.spool import Spool
from waterspout.wsgi.exchange.upload import Upload
from waterspout.wsgi.frames import CUT
from waterspout.wsgi.lanes.lane import Lane

logger = logging.getLogger("waterspout.wsgi")

_TOO_SLOW = "the client was too slow, while others waited for the lane"


class SlowClient(Concluding):
    """The part of an `Exchange` that handles slow clients. `_download`: the detour of a reply that its client
    does not take, None while the reply goes straight to the client.

    `_is_parked`: it waits in its pool for a lane, but may not have one yet.

    Attributes: `is_held_up`, a lane waits for the client to take more.
    """

    # What most exchanges never change is set on the class.
    _download: Download | None = None
    _drained_note = "cut"
    is_held_up = False
    _on_demand = False  # the body is not in the request's own frames
    _is_parked = False

    _admission: Admission

    # -- a body that is not whole ------------------------------------------------------------------------

    def _collect(self) -> None:
        """The body is large, or of unknown size: its request has no lane yet."""
        assert isinstance(self._upload, Upload)
        self._get_known()
        self._on_demand = True
        # One byte more than the largest body, which must not fill the spool: its end must still be read.
        self._upload.store(self._admission.space, self._max_body_size + 1, self._on_spool_failure)
        self._admission.enter(self)

    def run_unfinished(self) -> None:
        """Ask for a lane, though the body is not whole."""
        raise NotImplementedError  # called by an admission; only `Exchange` has the request

    def park(self) -> None:
        """There is neither a lane nor space for more of its body: wait as others do for a lane."""
        if not self._is_parked:
            self._is_parked = True
            self.record.submitted = time.perf_counter()
            self._pool.park(self)

    def unpark(self) -> None:
        """Wait like that no longer. Harmless when it does not."""
        if self._is_parked:
            self._is_parked = False
            self._pool.withdraw(self)

    def say_continue(self) -> None:
        """Let the client send its body (RFC 9110 section 10.1.1)."""
        self.expects_continue = False
        if not self._reply.begun:
            self._reply.say_continue()

    def _on_spool_failure(self, error: OSError) -> None:
        hint = describe_limit(error) or " (TMPDIR)"
        logger.error("request %s: its body can't be spooled: %s%s", self.record.request_id, error, hint)
        self._abandon("the server has no room for the request's body")
        self._fail(507, "spool-failed", close=True)

    @property
    def is_starving(self) -> bool:
        """A lane waits for the client to send more."""
        return self._upload.starves

    # -- a reply that its client does not take -----------------------------------------------------------

    def _hold_up(self, lane: Lane) -> None:
        """The client is slower than the view: let the view wait in its send, if nobody else waits."""
        if not lane.pause():
            return
        self.is_held_up = True
        self._get_known()
        self._admission.watch(self)
        if not self._upload.whole:
            # It may send all before it reads; and a thread of the view asks for the body over the lane.
            self.spool_reply()

    def spool_reply(self) -> None:
        """Take from the lane what the client does not. This ends only when the spool has been drained."""
        if self._download is None:
            admission = self._admission
            self._download = Download(
                self._reply,
                admission.space,
                admission.reply_limit,
                self._on_drained,
                self._resume_lane,
                admission.say_unspooled,
            )
            self._resume_lane()

    def _store_reply(self, download: Download, data: bytes, end: bytes | None) -> None:
        """Store what came from the lane, after what the client has not taken yet."""
        if end is not None:
            download.end = end
            self.is_held_up = False
            self._let_go()
        download.put(data)
        if self._lane is not None and self._download is download and download.spool.is_full:
            self.is_held_up = self._lane.pause()

    def _resume(self) -> None:
        """The client has taken what was written."""
        if self._download is not None:
            self._download.room()
        else:
            self._resume_lane()

    def _resume_lane(self) -> None:
        if self.is_held_up:
            self.is_held_up = False
            if self._lane is not None:
                self._lane.resume()

    def _on_drained(self) -> None:
        """All that came from the lane has gone to the client, or the spool is broken."""
        download = self._download
        assert download is not None
        if download.spool.broken is not None:
            logger.error(
                "request %s: its reply is cut off, because it can't be read from the spool: %s",
                self.record.request_id,
                download.spool.broken,
            )
            self._abandon("the server has lost part of the reply")
            self._cut("spool-failed")
        elif download.end is None:
            download.close()
            self._download = None
            self._resume_lane()
        elif download.end == CUT:
            self._cut(self._drained_note)
        else:
            self._end()

    @property
    def _has_ended(self) -> bool:
        """The worker has sent all of its reply, and the client has not taken it."""
        return self._download is not None and self._download.end is not None

    def _end_early(self, status: int, note: str) -> None:
        """The worker will send nothing more. What it has sent still goes to the client, which is then cut."""
        download = self._download
        if download is None:
            self._fail(status, note)
            return
        self._drained_note = note
        download.end = CUT
        self._let_go()
        download.pump()

    @property
    def taken(self) -> int:
        """Bytes of the reply that the client has made room for."""
        return self.record.bytes_sent

    @property
    def is_behind(self) -> bool:
        """There is something that the client could take."""
        return self.is_held_up or self._download is not None

    @property
    def waits_for_disk(self) -> bool:
        """That its lane is held up is no fault of the client: the disk is busy."""
        return self._download is not None and self._download.spool.waits_for_disk

    @property
    def write_timeout(self) -> float:
        """How long the client may take for a stretch of the reply, whether others wait or not (seconds)."""
        return self._reply.write_timeout

    # -- both --------------------------------------------------------------------------------------------

    @property
    def wants_space(self) -> bool:
        """Its spool needs to grow, but all space is taken."""
        return any(spool.wants_space for spool in self._spools)

    @property
    def takes_space(self) -> bool:
        """Some of its spool is on disk."""
        return any(spool.takes_space for spool in self._spools)

    def settle(self) -> None:
        """There may be space again."""
        for spool in self._spools:
            spool.settle()

    @property
    def _spools(self) -> list[Spool]:
        found = [self._upload.spool] if self._upload.spool is not None else []
        return found if self._download is None else [*found, self._download.spool]

    def _get_known(self) -> None:
        if not self._known:
            self._known = True
            self._admission = self._pool.find_admission(self.record)

    def cut_slow(self) -> None:
        """The client is too slow: cut it, and tell the app to stop."""
        self._abandon(_TOO_SLOW)
        if self._reply.begun:
            self._cut("too-slow", at_once=True)
        else:
            self._answer(408, "too-slow", close=True)

    def _forget(self) -> None:
        self.unpark()
        self._admission.forget(self)
        if self._download is not None:
            self._download.close()
