# SPDX-License-Identifier: Apache-2.0
"""pool.py: a program of Python whose processes work for it: a Pool of multiprocessing, and one that
answers from a Queue. Each round asks all of them and prints `ROUND NONCE`; what is wrong is
printed, and ends it."""
import hashlib
import multiprocessing
import os
import sys
import time

nonce = os.urandom(8).hex()


def work(n):
    return n, nonce, hashlib.sha256(b"%d" % n * 100).hexdigest()


def answer(asked, answered):
    while True:
        answered.put((asked.get(), nonce, os.getpid()))


def must(ok, what):
    if not ok:
        print("wrong:", what, flush=True)
        os._exit(1)


def main():
    multiprocessing.set_start_method("fork")
    asked, answered = multiprocessing.Queue(), multiprocessing.Queue()
    other = multiprocessing.Process(target=answer, args=(asked, answered), daemon=True)
    other.start()
    with multiprocessing.Pool(2) as pool:
        for k in range(1, sys.maxsize):
            got = sorted(pool.imap_unordered(work, range(k * 10, k * 10 + 10)))
            must(got == [work(n) for n in range(k * 10, k * 10 + 10)], "what the pool has done")
            asked.put(k)
            must(answered.get(timeout=60) == (k, nonce, other.pid), "an answer")
            print(k, nonce, flush=True)
            time.sleep(0.02)


main()
