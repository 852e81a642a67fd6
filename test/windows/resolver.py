#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A resolver of some names, at an address on port 53, by UDP and TCP; and servers that say what they
have heard, at 127.0.0.1 on a port of both. ADDRESS PORT; prints "ready"."""
import socket
import struct
import sys
import threading

MANY = 30  # addresses, more than a datagram of old has room for


def name_read(data):
    at, words = 12, []
    while data[at]:
        words.append(data[at + 1:at + 1 + data[at]].decode())
        at += data[at] + 1
    return ".".join(words).lower(), at + 5


def a_record(n, name=b"\xc0\x0c"):
    return name + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, n])


def answer(data, stream):
    name, end = name_read(data)
    kind = struct.unpack(">H", data[end - 4:end - 2])[0]
    code, cut, records = 0, 0, []
    if name == "silent.test":
        return None
    if name == "broken.test":
        code = 2
    elif name == "cut.test" and not stream:
        cut = 1
    elif kind == 12 and name == "7.2.0.192.in-addr.arpa":
        target = b"\x05seven\x04test\x00"
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 12, 1, 60, len(target)) + target]
    elif kind == 12 and name == "8.2.0.192.in-addr.arpa":
        code = 2
    elif kind != 1 or name == "empty.test":
        pass
    elif name == "one.test":
        records = [a_record(1)]
    elif name == "two.test":
        records = [a_record(1), a_record(2)]
    elif name == "alias.test":
        target = b"\x03one\x04test\x00"
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, len(target)) + target,
                   a_record(1, target)]
    elif name == "cut.test":
        records = [a_record(n) for n in range(1, MANY + 1)]
    else:
        code = 3
    head = data[:2] + struct.pack(">BBHHHH", 0x81 | cut << 1, 0x80 | code, 1, len(records), 0, 0)
    return head + data[12:end] + b"".join(records)


def datagrams(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))
    while True:
        data, peer = s.recvfrom(4096)
        said = answer(data, False)
        if said:
            s.sendto(b"\0\0" + said[2:], peer)  # of another question: not to be taken
            s.sendto(said, peer)


def streams(s, talk):
    while True:
        c, _ = s.accept()
        try:
            talk(c)
        except OSError:
            pass
        c.close()


def dns_talk(c):
    n = struct.unpack(">H", c.recv(2))[0]
    said = answer(c.recv(n), True)
    c.sendall(struct.pack(">H", len(said)) + said)


def echo_talk(c):
    c.sendall(b"the host has " + c.recv(100))


def echoes(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    while True:
        data, peer = s.recvfrom(4096)
        s.sendto(b"a datagram of " + data, peer)


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    work = [(echoes, port)]
    for at, talk in (((address, 53), dns_talk), (("127.0.0.1", port), echo_talk)):
        if not at[0]:
            continue
        s = socket.create_server(at)
        work.append((streams, s, talk))
    if address:
        work.append((datagrams, address))
    for w in work:
        threading.Thread(target=w[0], args=w[1:], daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


main()
