"""From a ``trigger`` table to what watches the source, importing no more than its kind needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.io.hooks import Hooks
from edge.io.opening import needs_box_extra
from edge.station.triggers import GpioTrigger as GpioTable
from edge.station.triggers import ModbusTrigger as ModbusTable
from edge.station.triggers import MqttTrigger as MqttTable
from edge.station.triggers import TriggerTable
from edge.trigger.base import Trigger

if TYPE_CHECKING:
    from edge.io.lines import Edges

__all__ = ["open_trigger"]


def open_trigger(table: TriggerTable, name: str, hooks: Hooks) -> Trigger | None:
    """What watches the source of a trigger; not started.

    The source need not be there: one that is off is waited for, and its state told.

    Parameters
    ----------
    table
        The trigger of a camera. Kinds that have no source of their own give ``None``: ``software``
        is pulled, ``vision`` looks at the camera's pictures.
    name
        How messages call it.
    hooks
        Told when the source is lost, and when it is back.

    Raises
    ------
    InputError
        A library is missing, or a file for the login.
    """
    if not isinstance(table, GpioTable | ModbusTable | MqttTable):
        return None
    with needs_box_extra(f'triggers of kind "{table.kind}"'):
        if isinstance(table, GpioTable):
            from edge.trigger.gpio import GpioTrigger

            return GpioTrigger(name, lambda: _edges(table), hooks)
        if isinstance(table, ModbusTable):
            from edge.io.modbus_client import ModbusClient
            from edge.trigger.modbus import ModbusTrigger

            client = ModbusClient(name, table.address, table.device, table.baud, table.parity)
            return ModbusTrigger(name, client, *table.place, hooks)
        from edge.trigger.mqtt import MqttTrigger

        return MqttTrigger(name, table, hooks)


def _edges(table: GpioTable) -> Edges:
    from edge.io.lines import GpiodEdges

    return GpiodEdges(table.chip, table.line, table.edge, table.pull, table.debounce_ms)
