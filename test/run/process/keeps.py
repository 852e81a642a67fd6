# SPDX-License-Identifier: Apache-2.0
"""keeps.py: a program of Python that keeps things which a saved state must have: a nonce and two
MiB in memory; three threads with queue, lock and condition; a file that it appends to, one that it
writes records into, one that it reads along; a pipe with bytes in it; clocks. Each round looks at
all of them and prints `ROUND NONCE`; what is wrong is printed, and ends it."""
import hashlib
import os
import queue
import sys
import threading
import time
import traceback

RECORD = 24


def must(ok, what):
    if not ok:
        raise RuntimeError(what)


nonce = os.urandom(8).hex()
data = bytearray(os.urandom(2 << 20))
sum0 = hashlib.sha256(data).digest()
pid = os.getpid()
tasks, done = queue.Queue(4), queue.Queue()
lock, turn = threading.Lock(), threading.Condition()
both = [0, 0]  # under the lock: always the same
turns = 0


def failed(info):
    print("wrong:", info.thread and info.thread.name, info.exc_value, flush=True)
    traceback.print_tb(info.exc_traceback)
    os._exit(1)


threading.excepthook = failed


def worker():
    me = threading.get_native_id()
    while True:
        n = tasks.get()
        must(threading.get_native_id() == me, "the number of a thread")
        done.put((n, sum(range(n % 1000))))


def locker():
    while True:
        with lock:
            must(both[0] == both[1], "a lock was not held")
            both[0] += 1
            time.sleep(0.001)
            both[1] += 1


def waiter():
    global turns
    with turn:
        while True:
            want = turns + 1
            must(turn.wait_for(lambda: turns % 2 == 1 or turns >= want, timeout=60), "nobody's turn")
            turns += 1
            turn.notify_all()


def main():
    global turns
    name = sys.argv[1]
    appended = open(name + ".append", "a")
    records = open(name + ".records", "w+b", buffering=0)
    with open(name + ".read", "wb") as f:
        f.write(b"".join(b"%07d\n" % i for i in range(20000)))
    reads = open(name + ".read", "rb")  # has read ahead
    ends = os.pipe()
    os.write(ends[1], nonce.encode())
    for t in (worker, locker, waiter):
        threading.Thread(target=t, name=t.__name__, daemon=True).start()
    number, last, began = 0, time.monotonic(), time.time()
    while True:
        number += 1
        for i in range(3):
            tasks.put(number + i)
        before = time.monotonic()
        time.sleep(0.02)
        now = time.monotonic()
        must(now - before >= 0.02, "a sleep was too short")
        must(last <= before, "the clock went back")
        must(time.time() >= began, "the time went back")
        last = now
        for i in range(3):
            must(done.get(timeout=60) == (number + i, sum(range((number + i) % 1000))), "a result")
        with lock:
            must(both[0] == both[1], "a lock was not held")
        with turn:
            turns += 1
            turn.notify_all()
            must(turn.wait_for(lambda: turns % 2 == 0, timeout=60), "no turn of the other")
        must(os.read(ends[0], 100) == nonce.encode(), "what is in the pipe")
        os.write(ends[1], nonce.encode())
        must(reads.readline() == b"%07d\n" % ((number - 1) % 20000), "what was read")
        if number % 20000 == 0:
            reads.seek(0)
        must(records.tell() == (number - 1) * RECORD, "a position")
        records.write(b"%06d %16s\n" % (number, nonce.encode()))
        must(hashlib.sha256(data).digest() == sum0 and os.getpid() == pid, "memory")
        for f in appended, sys.stdout:
            f.write(f"{number} {nonce}\n")  # at once, buffered or not
            f.flush()


try:
    main()
except BaseException as e:
    print("wrong:", repr(e), flush=True)
    traceback.print_exc()
    os._exit(1)
