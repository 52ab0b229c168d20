"""The outputs of a station and the records, told of each other.

======================  ==========================================================================
what is told            to whom
======================  ==========================================================================
a signal and its fate   the records
"is it recorded?"       the records: outputs with a handshake ask before they say "done"
a machine's link fails  whoever shows faults, and the other machines
the records fail        whoever shows faults, and the machines
a broker's link fails   whoever shows faults: parts are inspected and recorded all the same
======================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from edge.io.base import Output, Signalled
from edge.io.faults import Faults, OnFault
from edge.io.hooks import Hooks, LinkState
from edge.io.opening import open_output
from edge.records.forward import Forwarder, Publish
from edge.records.output import RecordsOutput
from edge.station import Station
from edge.station.outputs import MqttOutput, WebhookOutput

__all__ = ["open_outputs"]


@runtime_checkable
class _Machine(Protocol):
    """An output that shows faults to a machine."""

    def fault(self, source: str, reason: str | None) -> None:
        """Show it."""


@runtime_checkable
class _Publisher(Protocol):
    """An output that publishes records out of the store."""

    publish: Publish
    backlog: Callable[[], int]


def _ignore(told: Signalled) -> None:
    """Nobody asked."""


def open_outputs(
    station: Station, show: OnFault, told: Callable[[Signalled], None] = _ignore
) -> list[Output]:
    """Open what the station file names, the records first.

    Parameters
    ----------
    station
        The station.
    show
        Told what is at fault and why, by name; ``None``, when it is no more.
    told
        Told each signal and its fate, as the records are.

    Raises
    ------
    InputError
        A library is missing, or a file that an output names.
    DeviceError
        A file, line or database cannot be used. What was opened before is closed.
    """
    shown, serious = Faults(), Faults()
    shown.listen("", show)
    serious.listen("", shown.tell)
    outputs: list[Output] = []
    records = RecordsOutput(station.records, serious.tell) if station.records else None
    if records is not None:
        outputs.append(records)
    try:
        for table in station.outputs:
            away = isinstance(table, MqttOutput | WebhookOutput)
            hooks = _hooks(records, shown if away else serious, told)
            output = open_output(table, station, hooks, forwarded=records is not None)
            outputs.append(output)
            if isinstance(output, _Machine):
                serious.listen(output.name, output.fault)
            if records is not None and isinstance(output, _Publisher):
                forwarder = Forwarder(records, output.publish, output.name)  # ends with the records
                output.backlog = partial(getattr, forwarder, "backlog")
    except BaseException:
        for output in outputs:
            output.close()
        raise
    return outputs


def _hooks(
    records: RecordsOutput | None, faults: Faults, told: Callable[[Signalled], None]
) -> Hooks:
    def on_state(name: str, state: LinkState, reason: str) -> None:
        faults.tell(name, reason if state == "down" else None)

    if records is None:
        return Hooks(told, on_state)

    def on_signal(signalled: Signalled) -> None:
        records.signalled(signalled)
        told(signalled)

    return Hooks(on_signal, on_state, records.recorded)
