#!/usr/bin/env python3
"""The network between the namespaces of scripts/network-faults, as a process.

    network-wire.py NAMESPACE...

A tap device in each namespace, eth0 with the address 10.77.0.N (N counts from 1), and a switch
between them that does as it is told, one command per line of standard input:

    cut A B       frames from A to B vanish; A and B are numbers, 0 is everybody
    delay MS      every frame is late
    loss PERCENT  so many frames vanish
    clear         all is well again

It is used where the kernel has no netem, and everywhere else, so that faults are the same.
"""

import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
MTU = 9000
# Frames that are under way at most; more are dropped, as by any switch.
MOST_FRAMES = 50_000


def tap(number, namespace):
    """A device in a namespace; its frames are those of the descriptor."""
    name = f"hf-tap{number}"
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_WITHOUT_HEADER))
    inside = ["ip", "-n", namespace]
    for command in [
        ["ip", "link", "set", name, "netns", namespace],
        inside + ["link", "set", name, "name", "eth0"],
        inside + ["link", "set", "eth0", "address", f"02:00:00:00:77:{number:02x}", "mtu", str(MTU)],
        inside + ["address", "add", f"10.77.0.{number}/24", "dev", "eth0"],
        inside + ["link", "set", "eth0", "up"],
        inside + ["link", "set", "lo", "up"],
    ]:
        subprocess.run(command, check=True)
    return descriptor


class Wire:
    """The switch."""

    def __init__(self, namespaces):
        self.ports = {n: tap(n, name) for n, name in enumerate(namespaces, 1)}
        self.random = random.Random(77)
        self.under_way = []
        self.sent = 0
        self.clear()

    def clear(self):
        self.cuts, self.delay, self.loss = set(), 0.0, 0.0

    def obey(self, line):
        words = line.split()
        if words == ["clear"]:
            self.clear()
        elif len(words) == 3 and words[0] == "cut":
            self.cuts.add((int(words[1]), int(words[2])))
        elif len(words) == 2 and words[0] == "delay":
            self.delay = float(words[1]) / 1000
        elif len(words) == 2 and words[0] == "loss":
            self.loss = float(words[1]) / 100
        elif words:
            sys.exit(f"unknown command {line!r}")

    def passes(self, source, target):
        ways = [(source, target), (source, 0), (0, target)]
        return not any(way in self.cuts for way in ways) and self.random.random() >= self.loss

    def take(self, source):
        for _ in range(64):
            try:
                frame = os.read(self.ports[source], MTU + 64)
            except BlockingIOError:
                return
            # The last byte of an address is a port's number; others are for everybody.
            known = frame[:5] == b"\x02\0\0\0\x77" and frame[5] in self.ports
            for target in [frame[5]] if known else self.ports:
                if target != source and self.passes(source, target):
                    if len(self.under_way) < MOST_FRAMES:
                        self.sent += 1
                        due = time.monotonic() + self.delay
                        heapq.heappush(self.under_way, (due, self.sent, target, frame))

    def deliver(self):
        """Sends what is due, and says how long nothing will be."""
        while self.under_way:
            wait = self.under_way[0][0] - time.monotonic()
            if wait > 0:
                return wait
            _, _, target, frame = heapq.heappop(self.under_way)
            try:
                os.write(self.ports[target], frame)
            except BlockingIOError:
                pass  # A full device drops, as any device does.
        return None

    def run(self):
        selector = selectors.DefaultSelector()
        for number, descriptor in self.ports.items():
            selector.register(descriptor, selectors.EVENT_READ, number)
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select(self.deliver()):
                if key.data is not None:
                    self.take(key.data)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                self.obey(line)


if __name__ == "__main__":
    Wire(sys.argv[1:]).run()
