"""Swimring: cluster membership for programs in Python.

>>> from swimring import Cluster
>>> with Cluster("web-1", bind="127.0.0.1:0") as cluster:
...     [member.name for member in cluster.members()]
['web-1']
"""

import asyncio
import inspect
import threading

from ._swimring import Cluster as _Cluster
from ._swimring import Candidate, Event, Member, State, SwimringError

__all__ = ["Candidate", "Cluster", "Event", "Events", "Member", "State", "SwimringError"]

# Events that may wait between the thread that takes them and whoever awaits them; the thread waits then, and the
# subscription's own bound holds.
_QUEUED_MAX = 256


class Events:
    """What happens from one moment on: `for event in events`, `async for event in events`, or `next` with a timeout."""

    def __init__(self, subscription):
        self._subscription = subscription
        self._queue = None

    def next(self, timeout=None):
        """The next event; None if `timeout` seconds pass before it."""
        return self._subscription.next(timeout)

    def __iter__(self):
        return self

    def __next__(self):
        return self._subscription.next()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._queue is None:
            self._queue = asyncio.Queue(_QUEUED_MAX)
            arguments = (asyncio.get_running_loop(), self._queue)
            threading.Thread(target=self._forward, args=arguments, daemon=True).start()
        event = await self._queue.get()
        if event is None:
            # Whoever asks again is told the same.
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return event

    def _forward(self, loop, queue):
        """Takes events on a thread of its own, until the member or the loop has stopped."""
        while not loop.is_closed():
            try:
                event = self._subscription.next(0.5)
            except StopIteration:
                event = None
            else:
                if event is None:
                    continue
            putting = queue.put(event)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except Exception:  # The loop was closed meanwhile: nobody awaits events any more.
                putting.close()
                return
            if event is None:
                return


class _Door:
    """Says of candidates what `admit` says: at once, or later on the event loop that the member was started on."""

    def __init__(self, admit):
        self._admit = admit
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            if inspect.iscoroutinefunction(admit):
                raise SwimringError("an admit that is awaited needs an event loop: start the member on one") from None
            self._loop = None

    def __call__(self, candidate, answer):
        admitted = self._admit(candidate)
        if not inspect.isawaitable(admitted):
            answer.say(bool(admitted))
            return
        saying = self._say(admitted, candidate, answer)
        try:
            asyncio.run_coroutine_threadsafe(saying, self._loop)
        except Exception:  # There is no loop, or none any more: nothing is said.
            saying.close()
            getattr(admitted, "close", getattr(admitted, "cancel", lambda: None))()
            raise

    @staticmethod
    async def _say(admitted, candidate, answer):
        try:
            # Once the time is over what it says counts for nothing.
            answer.say(bool(await asyncio.wait_for(admitted, answer.timeout)))
        except asyncio.TimeoutError:
            pass
        except Exception as error:
            message = f"admit has failed: {candidate!r} stays without an answer"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


class Cluster(_Cluster):
    """A member of a cluster. Used with `with`, it says goodbye at the end.

    `admit` is asked about every member that is not known before it is taken into the view, and admits it if it returns true, or
    something to be awaited that does. A plain function is called on a thread of the library, one candidate at a time; a coroutine
    is awaited on the event loop that the member was started on. What is not said within `admission_timeout_ms`, because it takes
    longer or raises, the setting `admit_on_timeout` decides.

    Every method that takes time has a twin that is awaited: `await cluster.join_async([...])`.
    """

    def __new__(cls, *arguments, admit=None, **settings):
        if admit is not None:
            settings["_ask"] = _Door(admit)
        return super().__new__(cls, *arguments, **settings)

    def subscribe(self):
        """Subscribes to what happens from now on. Whoever does not keep up is told how many events it has lost."""
        return Events(self._subscribe())

    async def join_async(self, seeds, timeout=10.0):
        """As `join`."""
        await asyncio.to_thread(self.join, seeds, timeout)

    async def members_async(self):
        """As `members`."""
        return await asyncio.to_thread(self.members)

    async def send_reliable_async(self, member, payload, timeout=10.0):
        """As `send_reliable`."""
        await asyncio.to_thread(self.send_reliable, member, payload, timeout)

    async def ask_async(self, member, payload, timeout=10.0):
        """As `ask`."""
        return await asyncio.to_thread(self.ask, member, payload, timeout)

    async def leave_async(self, timeout=5.0):
        """As `leave`."""
        await asyncio.to_thread(self.leave, timeout)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.leave()
        finally:
            self.shutdown()
