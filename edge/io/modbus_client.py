"""Modbus TCP and RTU: registers read and written, every failure a ``DeviceError``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from pymodbus import ModbusException
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from models.errors import DeviceError

__all__ = ["ModbusClient", "RegisterKind"]

RegisterKind = Literal["coil", "discrete", "holding", "input"]

REPLY_S = 1.0
"""Seconds for a reply: many scans of a PLC's program, and half of what it gives our heartbeat."""

PORT = 502
"""Where Modbus TCP listens."""

# It writes every lost connection to stderr, where the display may be; ours say it once.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class _SerialClient(ModbusSerialClient):
    """Theirs measures its patience by the wall clock: set back a day, it would wait a day."""

    def recv(self, size: int | None) -> bytes:
        """Wait for the first byte, by pyserial's monotonic timeout, and take what is there."""
        if self.socket is None:
            raise ConnectionException(str(self))
        try:
            first: bytes = self.socket.read(1)
            return first + self.socket.read(self.socket.in_waiting) if first else b""
        except OSError as error:
            self.close()  # type: ignore[no-untyped-call]
            raise ConnectionException(str(error)) from None


class ModbusClient:
    """One device.

    Parameters
    ----------
    name
        How messages call it.
    address
        ``tcp://HOST:PORT`` or the path of a serial port.
    device
        Unit id.
    baud, parity
        Of a serial port; 8 data bits, and as many stop bits as make 11 bits a character with it.
    """

    def __init__(
        self,
        name: str,
        address: str,
        device: int,
        baud: int = 19200,
        parity: Literal["even", "odd", "none"] = "even",
    ) -> None:
        self._name, self._device = name, device
        self._client: ModbusTcpClient | ModbusSerialClient
        if address.startswith("tcp://"):
            parts = urlsplit(address)
            self._client = ModbusTcpClient(
                parts.hostname or "", port=parts.port or PORT, timeout=REPLY_S, retries=0
            )
        else:
            self._client = _SerialClient(
                address,
                baudrate=baud,
                parity=parity[0].upper(),
                stopbits=2 if parity == "none" else 1,
                timeout=REPLY_S,
                retries=0,
            )

    def open(self) -> None:
        """Connect; does not yet say that the device answers."""
        self._client.close()  # type: ignore[no-untyped-call]
        if not self._client.connect():
            raise DeviceError(f"{self._name}: cannot be reached: is it on, and the cable in?")

    def close(self) -> None:
        """Let go of the line."""
        self._client.close()  # type: ignore[no-untyped-call]

    def read(self, kind: RegisterKind, address: int, count: int = 1) -> list[int]:
        """Read registers, or coils as 0 and 1."""
        read = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
        }[kind]
        try:
            answer = read(address, count=count, device_id=self._device)
        except (ModbusException, OSError) as error:
            raise self._broken(error) from error
        values = answer.bits if kind in ("coil", "discrete") else answer.registers
        self._check(answer, f"{kind} {address}")
        if len(values) < count:
            raise DeviceError(f"{self._name}: {kind} {address}: an answer that is cut off")
        return [int(value) for value in values[:count]]

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers, all in one request: function code 16."""
        try:
            answer = self._client.write_registers(address, list(values), device_id=self._device)
        except (ModbusException, OSError) as error:
            raise self._broken(error) from error
        self._check(answer, f"holding {address} to {address + len(values) - 1}")

    def _check(self, answer: ModbusPDU, what: str) -> None:
        if answer.isError():
            raise DeviceError(
                f"{self._name}: {what} refused with exception {answer.exception_code}: "
                "does the device have them, and may they be written?"
            )

    def _broken(self, error: Exception) -> DeviceError:
        self._client.close()  # type: ignore[no-untyped-call]  # a late answer must not be taken for that to the next request
        return DeviceError(f"{self._name}: no answer: is it on, and the cable in? ({error})")
