"""Which unfinished request may have a lane, whose reply is spooled, and which slow client is cut."""

import asyncio
import math

import pytest

from tests.waterspout.wsgi.fake_lanes import FakeLoad
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import SPOOL_BLOCK, STRETCH
from waterspout.wsgi.exchange import admission as module
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.spool import SpoolSpace

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    for name, value in {
        "SLOW_LOOK": 0.01,
        "BODY_PAUSE": 0.1,
        "EXPECT_PATIENCE": 0.1,
        "STRETCH_TIME": 0.2,
        "STRETCH_TIME_FULL": 0.1,
        "UPLOAD_STALL": 0.15,
    }.items():
        monkeypatch.setattr(module, name, value)


class FakeClient:
    """`orders`: what it was told."""

    def __init__(self, admission, **facts):
        self.admission = admission
        self.received = self.taken = 0
        self.expects_continue = self.is_starving = self.is_held_up = self.is_behind = False
        self.wants_space = self.takes_space = self.waits_for_disk = False
        self.write_timeout = math.inf
        self.is_parked = False
        self.orders = []
        vars(self).update(facts)

    def send(self, size):
        self.received += size
        if "run" not in self.orders:
            self.admission.advance(self)

    def run_unfinished(self):
        self.orders.append("run")

    def park(self):
        self.is_parked = True

    def unpark(self):
        self.is_parked = False

    def say_continue(self):
        self.expects_continue = False
        self.orders.append("continue")

    def spool_reply(self):
        self.orders.append("spool")

    def settle(self):
        self.orders.append("settle")

    def cut_slow(self):
        self.orders.append("cut")
        self.admission.forget(self)


class House:
    """An admission, how busy its lanes are, and its clients. `lanes`: how many there are."""

    def __init__(self, lanes=4, space=0):
        self.load = FakeLoad()
        self.space = SpoolSpace(space)
        self.admission = Admission(self.load, lanes, self.space, 1 << 20)

    def enter(self, **facts):
        client = FakeClient(self.admission, **facts)
        self.admission.enter(client)
        return client

    def watch(self, **facts):
        client = FakeClient(self.admission, is_behind=True, is_held_up=True, **facts)
        self.admission.watch(client)
        return client

    def start(self, **facts):
        """One that runs, and is brisk."""
        client = self.enter(**facts)
        client.send(STRETCH)
        assert client.orders == ["run"]
        return client


@pytest.fixture
def house():
    return House()


# --- bodies --------------------------------------------------------------------------------------------


async def test_a_brisk_client_has_a_lane_with_its_first_stretch(house):
    client = house.enter()
    client.send(STRETCH - 1)
    assert client.orders == []
    client.send(1)
    assert client.orders == ["run"]


@pytest.fixture
def with_patience(monkeypatch):
    """For clients that are in time: a machine that stalls for a moment must not make them late."""
    for name in ("BODY_PAUSE", "STRETCH_TIME", "STRETCH_TIME_FULL"):
        monkeypatch.setattr(module, name, 1.0)


@pytest.mark.usefixtures("with_patience")
async def test_a_client_that_trickles_has_none(house):
    client = house.enter()
    for _ in range(20):
        client.send(100)
        await asyncio.sleep(0.1)
    assert client.orders == []


async def test_a_client_that_pauses_may_wait_for_an_answer(house):
    client = house.enter()
    client.send(100)
    await wait_for(lambda: client.orders == ["run"])


async def test_the_only_lane_is_not_for_a_short_pause(monkeypatch):
    monkeypatch.setattr(module, "STRETCH_TIME", 2.0)
    house = House(lanes=1)
    client = house.enter()
    for _ in range(4):
        client.send(100)
        await asyncio.sleep(0.3)  # more than BODY_PAUSE
    assert client.orders == []
    await wait_for(lambda: client.orders == ["run"])


async def test_nobody_who_pauses_has_a_lane_while_none_is_idle(house):
    house.load.has_idle_lane = False
    client = house.enter()
    await asyncio.sleep(0.2)
    assert client.orders == []
    client.send(STRETCH)
    assert client.orders == ["run"]  # it waits among the others
    house.load.has_idle_lane = True
    late = house.enter()
    await wait_for(lambda: late.orders == ["run"])


async def test_unfinished_requests_have_at_most_half_of_the_lanes(house):
    clients = [house.enter() for _ in range(4)]
    for client in clients:
        client.send(STRETCH)
    assert [client.orders for client in clients] == [["run"], ["run"], [], []]
    house.admission.leave(clients[0])
    await wait_for(lambda: clients[2].orders == ["run"])
    assert clients[3].orders == []


@pytest.mark.parametrize("lanes", [1, 2])
async def test_one_lane_may_always_be_had(lanes):
    house = House(lanes)
    house.start()


async def test_who_expects_100_has_an_idle_lane_at_once(house):
    assert house.enter(expects_continue=True).orders == ["run"]


async def test_who_expects_100_and_finds_no_lane_is_told_to_go_on(house):
    house.load.has_idle_lane = False
    loop = asyncio.get_running_loop()
    begun = loop.time()
    client = house.enter(expects_continue=True)
    assert client.orders == []
    await wait_for(lambda: client.orders == ["continue"])
    assert loop.time() - begun > 0.1  # a view that answers without its body may still have a lane
    await asyncio.sleep(0.15)
    assert client.orders == ["continue"]


async def test_who_finds_no_room_on_disk_need_not_be_brisk(house):
    client = house.enter()
    house.load.has_idle_lane = False
    await asyncio.sleep(0.03)
    client.wants_space = True
    await wait_for(lambda: "run" in client.orders)


async def test_a_client_that_starves_its_lane_is_cut_when_others_wait(house):
    slow, brisk = house.start(is_starving=True), house.start()
    await asyncio.sleep(0.3)
    assert slow.orders == ["run"]
    house.load.lacking = 1
    await wait_for(lambda: slow.orders == ["run", "cut"])
    await asyncio.sleep(0.3)
    assert brisk.orders == ["run"]


@pytest.mark.usefixtures("with_patience")
async def test_a_client_that_starves_its_lane_for_a_moment_is_not(house):
    client = house.start(is_starving=True)
    house.load.lacking = 1
    for _ in range(20):
        client.send(STRETCH)
        await asyncio.sleep(0.1)
    assert client.orders == ["run"]


async def test_no_more_are_cut_than_wait_and_the_slowest_first(house):
    first = house.start(is_starving=True)
    await asyncio.sleep(0.05)
    second = house.start(is_starving=True)
    await asyncio.sleep(0.25)
    house.load.lacking = 1
    await wait_for(lambda: "cut" in first.orders)
    house.load.lacking = 0
    await asyncio.sleep(0.1)
    assert second.orders == ["run"]


async def test_who_both_sends_and_takes_too_slowly_is_cut_once(house):
    client = house.start(is_starving=True, is_held_up=True, is_behind=True, takes_space=True)
    house.admission.watch(client)
    await asyncio.sleep(0.3)
    house.load.lacking = 2
    await wait_for(lambda: "cut" in client.orders)
    assert client.orders.count("cut") == house.admission.cut == 1


@pytest.mark.parametrize("lanes", [2, 4])
async def test_a_brisk_upload_that_waits_for_a_slow_one_counts_as_waiting(lanes):
    house = House(lanes)
    slow = [house.start(is_starving=True) for _ in range(lanes // 2)]
    brisk = house.enter()
    for _ in range(40):
        brisk.send(STRETCH)
        await asyncio.sleep(0.01)
        if "run" in brisk.orders:
            break
    assert "run" in brisk.orders
    assert sum("cut" in client.orders for client in slow) == 1


# --- replies -------------------------------------------------------------------------------------------


async def test_a_reply_is_spooled_only_when_others_wait(house):
    client = house.watch()
    await asyncio.sleep(0.05)
    assert client.orders == []
    house.load.lacking = 1
    await wait_for(lambda: client.orders)
    assert set(client.orders) == {"spool"}


async def test_when_others_wait_already_a_reply_is_spooled_at_once(house):
    house.load.lacking = 1
    assert house.watch().orders == ["spool"]


async def test_a_reader_that_holds_its_lane_too_long_is_cut_when_others_wait(house):
    client = house.watch()
    await asyncio.sleep(0.3)
    assert "cut" not in client.orders
    house.load.lacking = 1
    await wait_for(lambda: client.orders[-1:] == ["cut"])


@pytest.mark.parametrize("facts", [{"is_held_up": False}, {"is_held_up": False, "is_behind": False}])
async def test_a_reader_that_holds_no_lane_is_not_cut_for_one(house, facts):
    client = house.watch()
    vars(client).update(facts)
    house.load.lacking = 1
    await asyncio.sleep(0.35)
    assert "cut" not in client.orders


@pytest.mark.usefixtures("with_patience")
async def test_a_reader_that_takes_enough_is_not_cut(house):
    client = house.watch(write_timeout=1.0)
    house.load.lacking = 1
    for _ in range(20):
        client.taken += STRETCH
        await asyncio.sleep(0.1)
    assert "cut" not in client.orders


@pytest.mark.parametrize(("write_timeout", "is_cut"), [(0.4, True), (math.inf, False)])
async def test_a_reader_that_takes_nothing_is_cut_in_the_end_if_nobody_else_does_it(
    house, write_timeout, is_cut
):
    client = house.watch(write_timeout=write_timeout)
    await asyncio.sleep(0.6)
    assert ("cut" in client.orders) is is_cut


# --- room on disk --------------------------------------------------------------------------------------


async def test_the_slowest_makes_room_for_who_finds_none():
    house = House(space=SPOOL_BLOCK)
    house.space.take()
    house.load.has_idle_lane = False
    full = [house.start(takes_space=True) for _ in range(2)]
    await asyncio.sleep(0.05)
    brisk = house.enter(wants_space=True)
    for client in full:
        client.is_starving = True
    await wait_for(lambda: any("cut" in client.orders for client in full))
    assert "cut" not in brisk.orders
    assert "settle" in brisk.orders


async def test_who_takes_all_the_room_alone_is_not_cut():
    house = House(space=SPOOL_BLOCK)
    house.space.take()
    client = house.enter(takes_space=True, wants_space=True)
    await asyncio.sleep(0.4)
    assert "cut" not in client.orders


async def test_nobody_is_cut_for_room_on_disk_while_nobody_waits():
    house = House(space=SPOOL_BLOCK)
    house.space.take()
    client = house.watch(takes_space=True, wants_space=True)
    client.is_held_up = False  # its lane is free
    await asyncio.sleep(0.4)
    assert "cut" not in client.orders
    house.load.lacking = 1
    await wait_for(lambda: "cut" in client.orders)


async def test_who_finds_neither_a_lane_nor_room_on_disk_is_parked():
    house = House(lanes=1)
    running = house.start()
    client = house.enter(wants_space=True)
    await wait_for(lambda: client.is_parked)
    assert client.orders[-1] == "settle"
    house.admission.leave(running)
    await wait_for(lambda: "run" in client.orders)


@pytest.mark.parametrize("expects_continue", [False, True])
async def test_no_newcomer_overtakes_who_has_found_neither(monkeypatch, expects_continue):
    monkeypatch.setattr(module, "SLOW_LOOK", 10.0)
    house = House(lanes=2)
    running = house.start()
    first, second = house.enter(wants_space=True), house.enter(wants_space=True)
    house.admission.leave(running)
    newcomer = house.enter(expects_continue=expects_continue)
    newcomer.send(STRETCH)
    assert (first.orders, second.orders, newcomer.orders) == (["run"], [], [])
    house.admission.leave(first)
    house.admission.leave(second)
    newcomer.send(STRETCH)
    assert newcomer.orders == ["run"]


async def test_who_finds_room_again_is_parked_no_longer():
    house = House(lanes=1)
    house.start()
    client = house.enter(wants_space=True)
    await wait_for(lambda: client.is_parked)
    client.wants_space = False
    await wait_for(lambda: not client.is_parked)


@pytest.mark.parametrize("facts", [{"wants_space": True}, {}])
async def test_who_gets_on_or_is_slow_itself_is_not_parked(monkeypatch, facts):
    monkeypatch.setattr(module, "UPLOAD_STALL", 1.0)
    house = House(lanes=1)
    house.start()
    client = house.enter(**facts)
    for _ in range(15):
        if client.wants_space:
            client.send(1)
        await asyncio.sleep(0.1)
        assert not client.is_parked


# --- the rest ------------------------------------------------------------------------------------------


async def test_nobody_looks_when_nobody_can_be_slow(house):
    client = house.start()
    assert house.admission._timer is not None
    house.admission.forget(client)
    await wait_for(lambda: house.admission._timer is None)


async def test_it_is_said_that_clients_are_cut(house, caplog):
    house.start(is_starving=True)
    house.start(is_starving=True)
    await asyncio.sleep(0.25)
    house.load.lacking = 2
    await wait_for(lambda: caplog.records)
    await asyncio.sleep(0.05)
    assert len(caplog.records) == 1
    assert "slow clients were cut off" in caplog.text
    assert house.admission.cut == 2
