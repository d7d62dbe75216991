"""Members in one program: they meet, and say to each other all that can be said."""

import asyncio
import doctest
import sys
import threading
import unittest

import swimring
from swimring import Cluster, SwimringError

PATIENCE = 30.0


def start(name, **arguments):
    return Cluster(name, bind="127.0.0.1:0", settings='preset = "local"', **arguments)


def wait_for(events, kind):
    """The next event of a kind; others are passed over."""
    while True:
        event = events.next(PATIENCE)
        if event is None:
            raise AssertionError(f"no {kind} in {PATIENCE} s")
        if event.kind == kind:
            return event


class Members(unittest.TestCase):
    def setUp(self):
        self.one, self.two = start("one"), start("two", metadata=b"v1")
        self.events = self.one.subscribe(), self.two.subscribe()
        self.two.join([self.one.address])
        wait_for(self.events[0], "joined")

    def tearDown(self):
        self.one.shutdown()
        self.two.shutdown()

    def test_members_are_seen(self):
        members = {member.name: member for member in self.one.members()}
        self.assertEqual(set(members), {"one", "two"})
        two = members["two"]
        self.assertEqual((two.address, two.metadata, two.state), (self.two.address, b"v1", "alive"))
        self.two.update_metadata(b"v2")
        self.assertEqual(wait_for(self.events[0], "updated").member, "two")
        self.assertEqual(len(self.one), 2)

    def test_events_and_messages_arrive(self):
        self.one.send_event("flush", b"prices")
        event = wait_for(self.events[1], "user")
        self.assertEqual((event.name, event.payload, event.member), ("flush", b"prices", "one"))
        self.one.send("two", b"once")
        self.assertEqual(wait_for(self.events[1], "message").payload, b"once")
        self.one.send_reliable("two", b"surely")
        self.assertEqual(wait_for(self.events[1], "message").payload, b"surely")

    def test_questions_are_answered(self):
        def answer():
            question = wait_for(self.events[1], "question")
            question.reply(question.payload + b" 17")

        thread = threading.Thread(target=answer)
        thread.start()
        self.assertEqual(self.one.ask("two", b"how many?", PATIENCE), b"how many? 17")
        thread.join()

    def test_state_is_shared(self):
        self.one.state.set("currency", b"EUR", of_cluster=True)
        self.one.state.set("load", b"0.4")
        self.assertEqual(self.one.state.get("currency"), b"EUR")
        late = start("late")
        late.join([self.one.address])
        self.assertEqual(late.state.get("load", "one"), b"0.4")
        self.assertIn((None, "currency", b"EUR"), late.state.items())
        self.assertTrue(self.one.state.delete("load"))
        self.assertFalse(self.one.state.delete("load"))
        late.shutdown()

    def test_who_leaves_has_not_failed(self):
        self.two.leave()
        self.assertEqual(wait_for(self.events[0], "left").member, "two")

    def test_iteration_ends_with_the_member(self):
        self.two.shutdown()
        self.assertTrue(all(event.kind for event in self.events[1]))
        with self.assertRaises(SwimringError):
            self.two.members()

    def test_errors_are_sentences(self):
        with self.assertRaisesRegex(SwimringError, "probe_interval_ms"):
            Cluster("three", settings="probe_intervall_ms = 5")
        with self.assertRaisesRegex(SwimringError, "127.0.0.1:1"):
            self.one.join(["127.0.0.1:1"], PATIENCE)
        with self.assertRaisesRegex(SwimringError, "nobody|name"):
            self.one.send("nobody", b"")
        with self.assertRaisesRegex(SwimringError, "seconds"):
            self.one.leave(-1)

    def test_events_are_awaited(self):
        async def program():
            events = self.two.subscribe()
            three = start("three")
            await three.join_async([self.two.address], PATIENCE)
            names = []
            async for event in events:
                if event.kind == "joined":
                    names.append(event.member)
                    await three.leave_async(PATIENCE)
                elif event.kind == "left":
                    break
            three.shutdown()
            self.two.shutdown()
            with self.assertRaises(StopAsyncIteration):
                while True:
                    await events.__anext__()
            return names

        self.assertEqual(asyncio.run(asyncio.wait_for(program(), PATIENCE)), ["three"])


class Admission(unittest.TestCase):
    """Who comes into the view of a member is what its program says."""

    def setUp(self):
        self.started = []

    def tearDown(self):
        for cluster in self.started:
            cluster.shutdown()

    def start(self, name, **arguments):
        cluster = start(name, **arguments)
        self.started.append(cluster)
        return cluster

    def door(self, admit, timeout_ms=500, on_timeout="false"):
        settings = f'preset = "local"\nadmission_timeout_ms = {timeout_ms}\nadmit_on_timeout = {on_timeout}'
        cluster = Cluster("door", bind="127.0.0.1:0", settings=settings, admit=admit)
        self.started.append(cluster)
        return cluster

    def come(self, door, name):
        """What becomes of a member that comes to the door."""
        events, comer = door.subscribe(), self.start(name, metadata=b"v1")
        # Whoever is refused is answered all the same.
        comer.join([door.address], PATIENCE)
        while True:
            event = events.next(PATIENCE)
            if event is None:
                raise AssertionError(f"nothing becomes of {name}")
            if event.member == name and event.kind in ("joined", "not_admitted"):
                self.assertEqual(event.address, comer.address)
                return event.kind

    def test_a_function_is_asked(self):
        asked = []

        def admit(candidate):
            asked.append(candidate)
            return candidate.name.startswith("web-")

        door = self.door(admit)
        self.assertEqual(self.come(door, "web-1"), "joined")
        self.assertEqual(self.come(door, "other"), "not_admitted")
        names = {candidate.name for candidate in asked}
        self.assertEqual(names, {"web-1", "other"})
        first = asked[0]
        self.assertEqual((first.metadata, first.zone, first.public_key, first.wire), (b"v1", "", None, "native"))
        self.assertRegex(repr(first), "Candidate\\(web-1, 127.0.0.1:[0-9]+\\)")
        self.assertEqual({member.name for member in door.members()}, {"door", "web-1"})

    def test_one_that_fails_or_does_not_answer_leaves_it_to_the_setting(self):
        released, failed = threading.Event(), []

        def admit(candidate):
            if candidate.name == "fails":
                raise ValueError("who is that?")
            released.wait(PATIENCE)
            return False

        hook, sys.unraisablehook = sys.unraisablehook, failed.append
        try:
            door = self.door(admit, on_timeout="true")
            self.assertEqual(self.come(door, "fails"), "joined")
            self.assertEqual(self.come(door, "slow"), "joined")
        finally:
            released.set()
            sys.unraisablehook = hook
        self.assertEqual(str(failed[0].exc_value), "who is that?")

    def test_an_answer_is_awaited(self):
        async def program():
            both, failures = asyncio.Event(), []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            waiting = set()

            async def admit(candidate):
                if candidate.name == "fails":
                    raise ValueError("who is that?")
                if candidate.name == "slow":
                    await asyncio.sleep(PATIENCE)
                # The two are asked about at the same time.
                waiting.add(candidate.name)
                if len(waiting) == 2:
                    both.set()
                await both.wait()
                return candidate.name == "in"

            door = self.door(admit, 10_000)
            come = lambda door, name: asyncio.to_thread(self.come, door, name)
            self.assertEqual(await asyncio.gather(come(door, "in"), come(door, "out")), ["joined", "not_admitted"])
            impatient = self.door(admit)
            self.assertEqual(await come(impatient, "slow"), "not_admitted")
            self.assertEqual(await come(impatient, "fails"), "not_admitted")
            self.assertEqual([str(context["exception"]) for context in failures], ["who is that?"])

        asyncio.run(asyncio.wait_for(program(), 2 * PATIENCE))

    def test_what_is_awaited_needs_a_loop(self):
        async def admit(candidate):
            return True

        with self.assertRaisesRegex(SwimringError, "event loop"):
            self.door(admit)


def load_tests(loader, tests, pattern):
    tests.addTests(doctest.DocTestSuite(swimring))
    return tests


if __name__ == "__main__":
    unittest.main()
