"""From an ``[[outputs]]`` table to the output, importing what its kind needs and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.io.base import Output
from edge.io.hooks import Hooks
from edge.io.jsonl import JsonlOutput
from edge.station import Station
from edge.station.outputs import (
    GpioOutput,
    ModbusOutput,
    MqttOutput,
    OutputTable,
    SerialOutput,
)
from edge.station.outputs import (
    JsonlOutput as JsonlTable,
)
from models.errors import InputError

__all__ = ["needs_box_extra", "open_output"]


def open_output(
    table: OutputTable, station: Station, hooks: Hooks, *, forwarded: bool = False
) -> Output:
    """Open an output.

    What it talks to need not be there: a machine that is off is waited for, and its state told.

    Parameters
    ----------
    table
        One of the station's outputs.
    station
        The station.
    hooks
        Whom it tells how it fares.
    forwarded
        Whether MQTT's verdicts come from the records, by ``MqttOutput.publish``.

    Raises
    ------
    InputError
        A library is missing, or a file that the table names.
    StorageError
        A file cannot be written.
    DeviceError
        The box has no such line or chip, or another program holds it.
    """
    cameras = [camera.name for camera in station.cameras]
    if isinstance(table, JsonlTable):
        return JsonlOutput.open(Path(table.path))
    with needs_box_extra(f'outputs of kind "{table.kind}"'):
        if isinstance(table, ModbusOutput):
            from edge.io.modbus import open_modbus

            return open_modbus(table, cameras, hooks)
        if isinstance(table, SerialOutput):
            from edge.io.serial_line import open_serial

            return open_serial(table, cameras, hooks)
        if isinstance(table, MqttOutput):
            from edge.io.mqtt import open_mqtt

            return open_mqtt(table, station.station.name, cameras, hooks, forwarded=forwarded)
        if isinstance(table, GpioOutput):
            from edge.io.gpio import open_gpio

            return open_gpio(table, cameras, hooks)
        from edge.io.webhook import open_webhook

        return open_webhook(table, hooks)


@contextmanager
def needs_box_extra(what: str) -> Iterator[None]:
    """Around imports of what talks to machines: ``lineguard`` is installed without, too.

    Raises
    ------
    InputError
        Says what is missing and how to get it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, and {what} need it: pip install 'lineguard[box]'"
        ) from error
