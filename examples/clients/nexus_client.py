#!/usr/bin/env python3
"""A client of the nexus protocol in Python, with the standard library alone.

It was written from protocol/SPEC.md and knows nothing else: a second opinion on what the bytes mean, and something to copy
from. It attaches to a process, watches it for some seconds, and prints its tokens, how many events of each kind there were,
and whether all of them are accounted for.

    nexus_client.py 4711                     attach to process 4711
    nexus_client.py /run/…/4711-123.sock     attach to a socket
    nexus_client.py 4711 --for 10 --events   print each event, as JSON, in the words of section 13
    nexus_client.py --read trace.nxt         read a native trace; - for standard input

Exit codes: 0 fine; 1 the account does not add up; 2 usage; 3 the target is not there, or does not speak our language.
"""

import argparse
import json
import os
import socket
import struct
import sys
import time
from collections import Counter

VERSION = 1
MAGIC = b"NEXUS\0"
MAX_FRAME = 1 << 20

# Section 2.
CLIENT_HELLO, CLIENT_SUBSCRIBE, CLIENT_FINISH = 1, 2, 3
HELLO, RUNTIME, STRINGS, SNAPSHOT, EVENTS, LOSS, GOODBYE = range(129, 136)

# Section 6: words of codes.
KINDS = [
    None, "turn", "token-claimed", "token-registered", "token-address", "token-released", "release-refused", "transition",
    "stale-event", "task-spawned", "task-finished", "wake", "poll-start", "poll-end", "operation", "wait-begin",
    "wait-end", "timer", "freelist-grown", "repeats", "span-entered", "span-exited", "log", "text",
]
STAMPED = (1, 12, 13, 19)
CAUSES = [
    None, "io", "timer", "join", "task", "self", "yield", "spawn", "thread", "outside", "shutdown", "primitive",
]
WHO = ["outside", "task", "thread"]
DIRECTIONS = [None, "readable", "writable"]
MODES = [None, "look", "park", "spin"]
CYCLES = [None, "self", "yield"]
SOURCES = ["other", "tcp-listener", "tcp-stream", "udp", "unix-listener", "unix-stream", "unix-datagram", "signal"]
SIDES = [None, "local", "peer"]
REFUSALS = [None, "stale", "foreign", "unknown"]
TRANSITIONS = [None, "event", "consumed", "reset"]
TASK_OUTCOMES = [None, "completed", "panicked", "aborted", "dropped"]
WAKE_OUTCOMES = [None, "queued", "redundant", "dead"]
WAIT_OUTCOMES = [None, "done", "dropped"]
POLL_RESULTS = [None, "pending", "ready", "panicked"]
VERDICTS = [None, "progress", "spurious", "unattributed", "excused"]
OPERATIONS = [
    None, "accept", "connect", "read", "write", "receive", "send", "ready", "timer", "join", "notified", "cancelled",
    "signal", "blocking", "foreign",
]
RESULTS = [None, "done", "end-of-file", "error", "would-block", "not-ready"]
LEVELS = [None, "error", "warn", "info", "debug", "trace"]
ACTIONS = [None, "armed", "reset", "cancelled", "fired"]
READINESS = ["readable", "writable", "read-closed", "write-closed", "error", "priority"]
INTEREST = ["readable", "writable", "priority"]
TASK_STATES = [None, "idle", "queued", "polling", "finished"]
GOODBYES = [None, "finished", "process-ending", "protocol-error", "busy", "version"]


class ProtocolError(Exception):
    """The other side said something that the specification does not allow."""


class UnknownCode(Exception):
    """A code of a later version: the record is unknown, and nothing else is wrong."""


def word(words, code):
    """The word for a code."""
    if code >= len(words) or words[code] is None:
        raise UnknownCode
    return words[code]


def bits(words, value):
    """The words for the bits that are set."""
    return [name for bit, name in enumerate(words) if value >> bit & 1]


# Section 1: numbers, strings, blocks.


class Bytes:
    """What is left of a payload, a block or a body."""

    def __init__(self, data, endless=False):
        self.data = data
        self.at = 0
        # A record's body goes on with zeros for ever.
        self.endless = endless

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            if not self.endless:
                raise ProtocolError("it ends before its fields")
            taken += bytes(count - len(taken))
        self.at += count
        return taken

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack("<H", self.take(2))[0]

    def var(self):
        value = shift = 0
        while True:
            byte = self.u8()
            if shift == 63 and byte > 1:
                raise ProtocolError("a number does not fit into 64 bits")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zig(self):
        value = self.var()
        return value >> 1 ^ -(value & 1)

    def string(self):
        return self.take(self.var()).decode("utf-8")

    def block(self):
        return Bytes(self.take(self.var()))


def wrapped(value, width=64):
    """Distances wrap around."""
    return value & (1 << width) - 1


def inet(family, data):
    """An IP address and port, as printed."""
    port = data.var()
    if family == 1:
        return f"{socket.inet_ntop(socket.AF_INET, data.take(4))}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, data.take(16))}]:{port}"


# Section 6: events.


class Context:
    """What the records of a frame are told relative to."""

    def __init__(self):
        self.stamp = self.turn = self.task = self.spawned = self.armed = 0
        self.slot = self.generation = self.timer = self.primitive = self.joined = self.thread = self.span = 0
        self.transition = self.fired = self.poll = None
        self.polled = self.began = self.operations = self.progress = 0
        self.memories = {}

    def memory(self, task):
        memory = self.memories.get(task % 256, (0, 0, None))
        if memory[0] != task:
            memory = (task, 0, None)
        return memory

    def remember(self, task, polls=None, wake=None):
        _, old_polls, old_wake = self.memory(task)
        polls = old_polls if polls is None else polls
        self.memories[task % 256] = (task, polls, old_wake if wake is None else wake)


class Record:
    """One record on its way from bytes to fields."""

    def __init__(self, context, strings, body, number, before):
        self.context = context
        self.strings = strings
        self.body = body
        self.number = number
        self.before = before

    # Types of fields.

    def text(self):
        return self.strings.get(self.body.var(), "<unknown>")

    def relative(self, expected):
        return wrapped(expected + self.body.zig())

    def task(self):
        self.context.task = self.relative(self.context.task)
        return self.context.task

    def optional_task(self):
        task = self.relative(self.context.task)
        if task:
            self.context.task = task
        return task or None

    def joined(self):
        self.context.joined = self.relative(self.context.joined)
        return self.context.joined

    def timer(self):
        self.context.timer = self.relative(self.context.timer)
        return self.context.timer

    def primitive(self):
        self.context.primitive = self.relative(self.context.primitive)
        return self.context.primitive

    def thread(self):
        self.context.thread = wrapped(self.relative(self.context.thread), 32)
        return self.context.thread

    def span(self):
        span = self.relative(self.context.span)
        if span:
            self.context.span = span
        return span or None

    def polled(self):
        """The task and the poll that go on, named relative to those known."""
        expected = 0 if self.context.poll is None else self.context.polled
        return {"task": self.relative(expected) or None, "poll": self.link(self.context.poll)}

    def token(self):
        packed = self.body.var()
        half = packed >> 1
        self.context.slot += half >> 1 ^ -(half & 1)
        if packed & 1:
            self.context.generation += self.body.zig()
        return f"{self.context.slot}.{self.context.generation}"

    def link(self, expected):
        code = self.body.var()
        if code == 0:
            return expected
        return None if code == 1 else self.number - (code - 1)

    def polling(self):
        """The task that is being polled, if one is."""
        if self.context.poll is None or self.context.polled == 0:
            return None
        self.context.task = self.context.polled
        return self.context.polled

    # Kinds. Every field is read, and the context changed, before a code is looked up.

    def turn(self):
        packed = self.body.var()
        parked = wrapped(self.before + self.body.var())
        self.context.turn = self.relative(self.context.turn + 1)
        return {
            "number": self.context.turn,
            "events": packed >> 4,
            "mode": word(MODES, packed & 15),
            "parked_ns": parked,
        }

    def token_claimed(self):
        token, source, fd = self.token(), self.body.u8(), self.body.zig()
        location, live = self.text(), self.body.var()
        source = SOURCES[source] if source < len(SOURCES) else "other"
        fd = None if fd == -1 else fd
        return {"token": token, "source": source, "fd": fd, "location": location, "live": live}

    def token_registered(self):
        token, before, after = self.token(), self.body.u8(), self.body.u8()
        return {
            "token": token,
            "before": bits(INTEREST, before),
            "after": bits(INTEREST, after),
            "errno": self.body.var(),
        }

    def token_address(self):
        codes, slot = self.body.u8(), self.body.var()
        family = codes >> 4
        if family in (1, 2):
            address = inet(family, self.body)
        elif family == 3:
            address = "unix:" + self.text()
        else:
            raise UnknownCode
        return {"slot": slot, "side": word(SIDES, codes & 15), "address": address}

    def token_released(self):
        return {"token": self.token(), "live": self.body.var(), "errno": self.body.var()}

    def release_refused(self):
        reason, token = self.body.u8(), self.token()
        return {"token": token, "reason": word(REFUSALS, reason)}

    def transition(self):
        packed, changed, before, token = self.body.var(), self.body.u8(), self.body.u8(), self.token()
        self.context.transition = self.number
        return {
            "token": token,
            "before": bits(READINESS, before),
            "after": bits(READINESS, before ^ changed),
            "reason": word(TRANSITIONS, packed & 15),
            "wakers": packed >> 4,
        }

    def stale_event(self):
        token, generation, readiness = self.token(), self.body.var(), self.body.u8()
        return {"token": token, "current_generation": generation, "readiness": bits(READINESS, readiness)}

    def task_spawned(self):
        location, name = self.text(), self.text()
        task = self.relative(self.context.spawned + 1)
        self.context.spawned = self.context.task = task
        return {"task": task, "location": location, "name": name, "poll": self.link(self.context.poll)}

    def task_finished(self):
        outcome, task = self.body.u8(), self.task()
        return {"task": task, "outcome": word(TASK_OUTCOMES, outcome)}

    def wake(self):
        codes, task = self.body.u8(), self.task()
        cause, outcome, further = codes & 15, codes >> 4 & 3, codes >> 6
        if outcome == 1:
            self.context.remember(task, wake=self.number)
        fields = {}
        if cause == 1:
            fields = {"token": self.token(), "event": self.link(self.context.transition)}
            fields["direction"] = word(DIRECTIONS, further)
        elif cause == 2:
            fields = {"timer": self.timer(), "event": self.link(self.context.fired)}
        elif cause == 3:
            fields = {"joined_task": self.joined()}
        elif cause == 4:
            fields = {"by_task": self.relative(self.context.polled)}
        elif cause == 8:
            fields = self.by_thread()
        elif cause == 11:
            fields = {"primitive": self.primitive(), "by": word(WHO, further)}
            if further == 1:
                fields["by_task"] = self.relative(self.context.polled)
            elif further == 2:
                fields.update(self.by_thread())
        return {"task": task, "outcome": word(WAKE_OUTCOMES, outcome), "cause": word(CAUSES, cause), **fields}

    def by_thread(self):
        return {"by_thread": self.thread(), "woken_ns": wrapped(self.context.stamp - self.body.zig())}

    def poll_start(self):
        task = self.task()
        _, polls, queued_by = self.context.memory(task)
        wake, number = self.link(queued_by), self.relative(polls + 1)
        self.context.remember(task, polls=number)
        self.context.poll, self.context.polled, self.context.began = self.number, task, self.context.stamp
        self.context.operations = self.context.progress = 0
        return {"task": task, "number": number, "wake": wake}

    def poll_end(self):
        context, codes = self.context, self.body.u8()
        operations = wrapped(context.operations + self.body.zig(), 16)
        progress = wrapped(context.progress + self.body.zig(), 16)
        task = self.relative(context.polled)
        # What is given is how much larger it is than expected.
        began = self.relative(context.began)
        context.task, context.poll = task, None
        return {
            "task": task,
            "started_ns": began,
            "result": word(POLL_RESULTS, codes & 15),
            "verdict": word(VERDICTS, codes >> 4),
            "operations": operations,
            "progress": progress,
        }

    def operation(self):
        codes, packed = self.body.u8(), self.body.var()
        result, value = packed & 7, packed >> 3
        if codes & 0x80:
            task, poll = self.optional_task(), self.link(self.context.poll)
        else:
            task, poll = self.polling(), self.context.poll
            if poll is not None:
                self.context.operations = wrapped(self.context.operations + 1, 16)
                self.context.progress = wrapped(self.context.progress + (1 <= result <= 3), 16)
        subject = self.subject(codes >> 4 & 7)
        name = word(OPERATIONS, codes & 15)
        fields = {"operation": name, **subject, "result": word(RESULTS, result)}
        if result == 1:
            fields[self.value_name(name, "primitive" in subject)] = value
        elif result == 3:
            fields["errno"] = value
        return {**fields, "task": task, "poll": poll}

    @staticmethod
    def value_name(operation, on_primitive):
        if operation in ("receive", "send") and on_primitive:
            return "messages"
        if operation in ("read", "write", "receive", "send"):
            return "bytes"
        return "accepted_fd" if operation == "accept" else "value"

    def subject(self, code):
        if code == 1:
            return {"token": self.token()}
        if code == 2:
            return {"timer": self.timer()}
        if code == 3:
            return {"joined_task": self.joined()}
        if code == 4:
            return {"primitive": self.primitive()}
        raise UnknownCode

    def wait_begin(self):
        return self.wait()[0]

    def wait_end(self):
        fields, outcome = self.wait()
        return {**fields, "outcome": word(WAIT_OUTCOMES, outcome)}

    def wait(self):
        codes = self.body.u8()
        task = self.optional_task() if codes & 8 else self.polling()
        target = self.subject(codes & 7)
        if codes & 7 == 1:
            target["direction"] = word(DIRECTIONS, codes >> 4 & 3)
        return {"task": task, **target}, codes >> 6

    def timer_changed(self):
        action, deadline = self.body.u8(), self.relative(self.context.stamp)
        if action == 1:
            timer = self.relative(self.context.armed + 1)
            self.context.armed = self.context.timer = timer
        else:
            timer = self.timer()
        poll = self.link(self.context.poll)
        if action == 4:
            self.context.fired = self.number
        return {"timer": timer, "action": word(ACTIONS, action), "deadline_ns": deadline, "poll": poll}

    def freelist_grown(self):
        return {"capacity": self.body.var(), "live": self.body.var(), "growths": self.body.var()}

    def repeats(self):
        cycle, task, count = self.body.u8(), self.task(), self.body.var()
        first = wrapped(self.context.stamp - self.body.zig())
        busy, shortest, longest = self.body.var(), self.body.var(), self.body.var()
        _, polls, _ = self.context.memory(task)
        self.context.remember(task, polls=wrapped(polls + count), wake=self.number)
        return {
            "task": task,
            "cycle": word(CYCLES, cycle),
            "count": count,
            "first_ns": first,
            "busy_ns": busy,
            "shortest_ns": shortest,
            "longest_ns": longest,
        }

    def span_entered(self):
        codes, name, target, location = self.body.u8(), self.text(), self.text(), self.text()
        fields = {"span": self.span(), "name": name, "target": target, "location": location, "texts": codes >> 4}
        return {**fields, **self.polled(), "level": word(LEVELS, codes & 15)}

    def span_exited(self):
        name, entered = self.text(), wrapped(self.context.stamp - self.body.zig())
        return {"span": self.span(), "name": name, "entered_ns": entered, **self.polled()}

    def log(self):
        codes, message, target, location = self.body.u8(), self.text(), self.text(), self.text()
        fields = {"message": message, "target": target, "location": location, "texts": codes >> 4, "span": self.span()}
        return {**fields, **self.polled(), "level": word(LEVELS, codes & 15)}

    def fragment(self):
        length = self.body.var()
        if length > 22:
            raise UnknownCode
        try:
            return {"text": self.body.take(length).decode("utf-8")}
        except UnicodeDecodeError:
            raise UnknownCode from None


READERS = [
    None, Record.turn, Record.token_claimed, Record.token_registered, Record.token_address, Record.token_released,
    Record.release_refused, Record.transition, Record.stale_event, Record.task_spawned, Record.task_finished, Record.wake,
    Record.poll_start, Record.poll_end, Record.operation, Record.wait_begin, Record.wait_end, Record.timer_changed,
    Record.freelist_grown, Record.repeats, Record.span_entered, Record.span_exited, Record.log, Record.fragment,
]


def read_events(payload, strings):
    """A frame of Events: its runtime, the first number and the span that it accounts for, and its events."""
    runtime, first, span, count = payload.var(), payload.var(), payload.var(), payload.var()
    if count > span or count > 8192:
        raise ProtocolError("a batch has more records than it accounts for")
    context, number, events = Context(), first, []
    while len(events) < count:
        tag = payload.u8()
        if tag == 0x00:
            number += payload.var()
            continue
        if tag == 0x20:
            context.stamp = wrapped(context.stamp + payload.var())
            continue
        if tag & 31 == 0:
            raise ProtocolError(f"tag {tag:#x} has no meaning")
        if number >= first + span:
            raise ProtocolError("a record is beyond what its batch accounts for")
        kind, apart = tag & 31, tag & 31 == 31
        if apart:
            kind = payload.u8()
        length = tag >> 5
        if length == 7:
            length = payload.var()
        body = Bytes(payload.take(length), endless=True)
        known = kind < len(READERS) and not apart
        before = context.stamp
        if known and kind in STAMPED:
            context.stamp = wrapped(context.stamp + body.var())
        event = {"seq": number, "runtime": runtime, "at_ns": context.stamp}
        try:
            if not known:
                raise UnknownCode
            fields = READERS[kind](Record(context, strings, body, number, before))
            event.update(kind=KINDS[kind], **fields)
        except UnknownCode:
            event.update(kind="unknown", code=kind)
        events.append(event)
        number += 1
    return runtime, first, span, events


# Sections 5 and 7: the other frames.


def read_runtime(data):
    names = ["id", "name", "thread", "started", "ended", "capacity", "recorded", "tokens", "tasks"]
    return {name: data.string() if name == "name" else data.var() for name in names}


def read_process(data):
    process = {"pid": data.var(), "start_time": data.var()}
    process.update(program=data.string(), command_line=data.string())
    process.update(started=data.var(), wall_offset=data.zig(), clock=data.string())
    return process


def read_address(data, strings):
    block = data.block()
    if block.left() == 0:
        return None
    family = block.u8()
    if family in (1, 2):
        return inet(family, block)
    return "unix:" + strings.get(block.var(), "<unknown>") if family == 3 else None


def read_token_row(data, strings):
    row = {"next": data.var(), "token": f"{data.var()}.{data.var()}", "changing": data.u8() & 1}
    source = data.u8()
    row["source"] = SOURCES[source] if source < len(SOURCES) else "other"
    row["fd"] = data.zig()
    row["interest"], row["readiness"] = bits(INTEREST, data.u8()), bits(READINESS, data.u8())
    row["owner"] = data.var() or None
    row["location"] = strings.get(data.var(), "<unknown>")
    row["claimed"], row["last_active"], row["read_closed"] = data.var(), data.var(), data.var()
    row["local"], row["peer"] = read_address(data, strings), read_address(data, strings)
    row["waiters"] = (data.var(), data.var())
    for counter in (
        "events", "wakes", "spurious", "stale", "operations", "would_block", "not_ready", "errors", "bytes_in", "bytes_out",
    ):
        row[counter] = data.var()
    return row


def read_task_row(data, strings):
    row = {"next": data.var(), "task": data.var(), "changing": data.u8() & 1}
    state = data.u8()
    if not 1 <= state <= 4:
        return None
    row["state"] = TASK_STATES[state]
    row["outcome"] = data.u8()
    row["location"] = strings.get(data.var(), "<unknown>")
    row["name"] = strings.get(data.var(), "<unknown>")
    return row


def read_snapshot_part(data, strings):
    """The runtime, the part's number, whether it is the last one, and its rows."""
    runtime, part, flags = data.var(), data.var(), data.u8()
    if part == 0:
        data.block()
    tokens = [read_token_row(data.block(), strings) for _ in range(data.var())]
    tasks = [read_task_row(data.block(), strings) for _ in range(data.var())]
    return runtime, part, bool(flags & 1), tokens, [task for task in tasks if task]


class Session:
    """What a server has said so far: live or in a file."""

    def __init__(self, on_event=None):
        self.on_event = on_event
        self.process = None
        self.runtimes = {}
        self.strings = {0: ""}
        # Of each runtime: rows of the last board that is whole, and those of the next one.
        self.boards = {}
        self.parts = ([], [])
        # Of each runtime: first number, next number, delivered, filtered, lost.
        self.accounts = {}
        self.kinds = Counter()
        self.gaps = 0
        self.goodbye = None
        self.buffer = bytearray()

    def feed(self, data):
        """Takes in bytes, and all frames that are whole."""
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 5:
            length, kind = struct.unpack_from("<IB", self.buffer, at)
            if length > MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self.buffer) - at - 5 < length:
                break
            payload = bytes(self.buffer[at + 5 : at + 5 + length])
            at += 5 + length
            self.frame(kind, Bytes(payload))
        del self.buffer[:at]

    def frame(self, kind, payload):
        if self.process is None and kind not in (HELLO, GOODBYE):
            raise ProtocolError("the first frame is no hello; is this another program's socket?")
        if kind == HELLO:
            self.hello(payload)
        elif kind == RUNTIME:
            runtime = read_runtime(payload)
            self.runtimes[runtime["id"]] = runtime
        elif kind == STRINGS:
            first = payload.var()
            for number in range(first, first + payload.var()):
                self.strings[number] = payload.string()
        elif kind == SNAPSHOT:
            self.snapshot(payload)
        elif kind == EVENTS:
            runtime, first, span, events = read_events(payload, self.strings)
            self.account(runtime, first, first + span, delivered=len(events), filtered=span - len(events))
            self.kinds.update(event["kind"] for event in events)
            if self.on_event:
                for event in events:
                    self.on_event(event)
        elif kind == LOSS:
            runtime, first, end = payload.var(), payload.var(), payload.var()
            self.account(runtime, first, end, lost=end - first)
        elif kind == GOODBYE:
            reason = payload.u8()
            self.goodbye = GOODBYES[reason] if 0 < reason < len(GOODBYES) else "protocol-error"
            if self.goodbye == "protocol-error" and payload.left():
                self.goodbye += ": " + payload.string()
            elif self.goodbye == "version":
                self.goodbye += f": the server speaks {payload.u16()}"
        # Frames of other kinds belong to later versions.

    def hello(self, payload):
        if payload.take(6) != MAGIC:
            raise ProtocolError("a hello without its magic")
        version = payload.u16()
        if version != VERSION:
            raise ProtocolError(f"version {version} of the protocol, which is not known here")
        self.process = read_process(payload.block())
        for _ in range(payload.var()):
            runtime = read_runtime(payload.block())
            self.runtimes[runtime["id"]] = runtime

    def snapshot(self, payload):
        runtime, part, last, tokens, tasks = read_snapshot_part(payload, self.strings)
        if part == 0:
            self.parts = ([], [])
        self.parts[0].extend(tokens)
        self.parts[1].extend(tasks)
        if last:
            self.boards[runtime] = self.parts

    def account(self, runtime, first, end, delivered=0, filtered=0, lost=0):
        account = self.accounts.setdefault(runtime, [first, first, 0, 0, 0])
        if account[1] != first:
            # Numbers that nobody accounts for: this must not happen.
            self.gaps += 1
        account[1] = end
        account[2] += delivered
        account[3] += filtered
        account[4] += lost

    def adds_up(self):
        exact = all(end - first == sum(rest) for first, end, *rest in self.accounts.values())
        return exact and self.gaps == 0


# Section 3: finding the socket, and the conversation.


def start_time(pid):
    """Field 22 of /proc/<pid>/stat; the second one may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def directories(pid):
    """Where the socket of a process may lie: by our environment, and by its own."""
    uid = os.stat(f"/proc/{pid}").st_uid
    environments = [os.environ]
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            pairs = (pair.partition(b"=") for pair in environ.read().split(b"\0"))
            environments.append({os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs})
    except OSError:
        pass
    for environment in environments:
        if environment.get("NEXUS_INSPECT_DIR"):
            yield environment["NEXUS_INSPECT_DIR"]
        if environment.get("XDG_RUNTIME_DIR"):
            yield os.path.join(environment["XDG_RUNTIME_DIR"], "nexus")
    yield f"/tmp/nexus-{uid}"


def addresses(target):
    """Addresses at which the target may be listening."""
    if not target.isdigit():
        return [target]
    name = f"{target}-{start_time(target)}"
    files = [os.path.join(directory, f"{name}.sock") for directory in directories(target)]
    uid = os.stat(f"/proc/{target}").st_uid
    return [path for path in files if os.path.exists(path)] + [f"\0nexus/{uid}/{name}"]


def connect(target):
    error = None
    for address in addresses(target):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(5)
        try:
            stream.connect(address)
            return stream
        except OSError as failure:
            stream.close()
            error = failure
    raise ConnectionError(f"nobody listens for {target}: {error}")


def say(stream, kind, payload=b""):
    stream.sendall(struct.pack("<IB", len(payload), kind) + payload)


def watch(stream, session, seconds, history):
    """Says hello, subscribes to everything, and listens until the server's goodbye."""
    say(stream, CLIENT_HELLO, MAGIC + struct.pack("<H", VERSION))
    say(stream, CLIENT_SUBSCRIBE, struct.pack("<BQI", history, (1 << 64) - 1, 1000))
    until = time.monotonic() + seconds
    finishing = False
    # After Finish, what is left may be a lot; but it must not stop coming.
    while session.goodbye is None:
        left = until - time.monotonic()
        if left <= 0 and not finishing:
            say(stream, CLIENT_FINISH)
            finishing = True
        stream.settimeout(10 if finishing else max(left, 0.01))
        try:
            data = stream.recv(1 << 16)
        except socket.timeout:
            if finishing:
                raise ProtocolError("the server did not send the rest") from None
            continue
        if not data:
            break
        session.feed(data)


def report(session):
    """What was seen, in words."""
    process = session.process
    lines = [f"process {process['pid']}, {process['program']}: {process['command_line']}"]
    for number, (tokens, tasks) in sorted(session.boards.items()):
        runtime = session.runtimes.get(number, {"name": ""})
        lines.append(f"runtime {number} {runtime['name']}: {len(tokens)} tokens, {len(tasks)} tasks")
        for row in tokens:
            where = " ".join(filter(None, [row["local"], row["peer"]]))
            lines.append(
                f"  token {row['token']} {row['source']} fd {row['fd']} {where} [{' '.join(row['readiness'])}] "
                f"claimed at {row['location']}, {row['bytes_in']} bytes in, {row['bytes_out']} out"
            )
    for kind, count in session.kinds.most_common():
        lines.append(f"{count:>10} {kind}")
    for number, (first, end, delivered, filtered, lost) in sorted(session.accounts.items()):
        lines.append(
            f"runtime {number}: recorded {end - first} = delivered {delivered} + filtered {filtered} + lost {lost}"
        )
    lines.append(f"goodbye: {session.goodbye or 'none'}")
    # What a process says of itself must not reach the terminal as it is.
    return "\n".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", help="a PID or a socket")
    parser.add_argument("--for", dest="seconds", type=float, default=3.0, metavar="SECONDS", help="how long to watch")
    parser.add_argument("--no-history", action="store_true", help="leave out what was recorded before")
    parser.add_argument("--events", action="store_true", help="print each event as a line of JSON, and nothing else")
    parser.add_argument("--read", metavar="FILE", help="read a native trace instead; - for standard input")
    arguments = parser.parse_args()
    if (arguments.target is None) == (arguments.read is None):
        parser.error("give a target, or a file to read")
    session = Session(on_event=(lambda event: print(json.dumps(event))) if arguments.events else None)
    try:
        if arguments.read is not None:
            source = sys.stdin.buffer if arguments.read == "-" else open(arguments.read, "rb")
            with source:
                while data := source.read(1 << 16):
                    session.feed(data)
        else:
            with connect(arguments.target) as stream:
                watch(stream, session, arguments.seconds, not arguments.no_history)
    except (OSError, ProtocolError) as error:
        print(f"{arguments.target or arguments.read}: {error}", file=sys.stderr)
        return 3
    if session.process is None:
        print(f"it said goodbye at once: {session.goodbye or 'without a word'}", file=sys.stderr)
        return 3
    if session.buffer:
        print("it breaks off in the middle of a frame", file=sys.stderr)
    print(report(session), file=sys.stderr if arguments.events else sys.stdout)
    return 0 if session.adds_up() else 1


if __name__ == "__main__":
    sys.exit(main())
