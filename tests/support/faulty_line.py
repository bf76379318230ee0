"""A line to a service that fails on purpose: connections that are cut short, or answered as by a busy service."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultyLine:
    """Forwards connections; each of the next ones takes a fault from `faults`: bytes to answer, or how many to pass."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self.faults: list[bytes | int] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """Cut every connection that is open now."""
        for caller in list(self._open):
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._open.add(caller)
                fault = self.faults.pop(0) if self.faults else None
                threading.Thread(target=self._serve, args=(caller, fault), daemon=True).start()

    def _serve(self, caller: socket.socket, fault: bytes | int | None) -> None:
        with caller, suppress(OSError):
            if isinstance(fault, bytes):
                caller.recv(65_536)
                caller.sendall(fault)
            else:
                with socket.create_connection(self._to) as there:
                    threading.Thread(target=self._pump, args=(caller, there, None), daemon=True).start()
                    self._pump(there, caller, fault)
                caller.shutdown(socket.SHUT_RDWR)
        self._open.discard(caller)

    def _pump(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data if left is None else data[:left])
                left = None if left is None else left - len(data)
                if left is not None and left <= 0:
                    return


@contextmanager
def faulty_line(port: int) -> Iterator[FaultyLine]:
    line = FaultyLine(port)
    yield line
    line.close()
