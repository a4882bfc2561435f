#!/usr/bin/env python3
"""A TCP proxy that can be taken down, in a process of its own so that the load beside it does not slow it: proxy.py LISTEN_PORT PORT,
both on 127.0.0.1. Reads commands from standard input, a line each: `down` closes every connection and the listener, `up` listens
again; ends with its input. Answers each command with the same word."""

import contextlib
import os
import selectors
import socket
import sys

PIECE = 262_144


class Proxy:
    def __init__(self, listen_port, port):
        self._listen_port, self._port = listen_port, port
        self._selector = selectors.DefaultSelector()
        self._listener = None
        self._peers = {}    # socket -> the other side
        self._unsent = {}   # socket -> bytes that it has not taken yet

    def up(self):
        self._listener = socket.create_server(("127.0.0.1", self._listen_port), backlog=256)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def down(self):
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        for each in list(self._peers):
            self._drop(each)

    def run(self):
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, events in self._selector.select():
                if key.fileobj is sys.stdin:
                    if not self._command():
                        return
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._peers:
                    self._serve(key.fileobj, events)

    def _command(self):
        words = os.read(0, 4096).decode().split()
        for word in words:
            {"up": self.up, "down": self.down}[word]()
            print(word, flush=True)
        return bool(words)

    def _accept(self):
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self._port), timeout=2)
            except OSError:
                client.close()
                return
            for one, other in ((client, server), (server, client)):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._peers[one], self._unsent[one] = other, b""
                self._selector.register(one, selectors.EVENT_READ)

    def _serve(self, one, events):
        try:
            if events & selectors.EVENT_WRITE:
                self._send(one, b"")
            if events & selectors.EVENT_READ:
                piece = one.recv(PIECE)
                if not piece:
                    self._drop(one)
                    return
                self._send(self._peers[one], piece)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(one)

    def _send(self, to, piece):
        """Sends what it takes; what it does not is kept, and its peer is not read meanwhile."""
        data = self._unsent[to] + piece
        try:
            sent = to.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        self._unsent[to] = data[sent:]
        other = self._peers[to]
        self._watch(to)
        self._watch(other)

    def _watch(self, one):
        wanted = (0 if self._unsent[self._peers[one]] else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._unsent[one] else 0)
        known = self._selector.get_map().get(one)
        if known is not None and known.events == wanted:
            return
        if known is not None:
            self._selector.unregister(one)
        if wanted:
            self._selector.register(one, wanted)

    def _drop(self, one):
        for each in (one, self._peers.get(one)):
            if each is None or each not in self._peers:
                continue
            if each in self._selector.get_map():
                self._selector.unregister(each)
            del self._peers[each], self._unsent[each]
            each.close()


if __name__ == "__main__":
    proxy = Proxy(int(sys.argv[1]), int(sys.argv[2]))
    proxy.up()
    print("up", flush=True)
    proxy.run()
