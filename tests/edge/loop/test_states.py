"""What outputs are told of a camera whose trigger comes and goes."""

from edge.camera.capture import State
from edge.loop.states import States


def test_a_camera_without_its_trigger_is_lost() -> None:
    told: list[tuple[str, State, str]] = []
    states = States(lambda *each: told.append(each))

    def news() -> list[tuple[str, State, str]]:
        new = told.copy()
        told.clear()
        return new

    states.trigger("top", None)
    assert news() == [], "nothing is known of the camera yet"
    states.camera("top", "starting", "opening")
    states.camera("top", "running", "fine")
    assert news() == [("top", "starting", "opening"), ("top", "running", "fine")]
    states.trigger("top", "no PLC")
    states.trigger("top", "no PLC")
    assert news() == [("top", "lost", "no PLC")], "said once"
    states.camera("top", "lost", "unplugged")
    assert news() == [("top", "lost", "unplugged")]
    states.trigger("top", None)
    assert news() == [], "it is lost all the same"
    states.camera("top", "running", "fine")
    states.trigger("top", "no PLC")
    states.trigger("top", None)
    assert [state for _, state, _ in news()] == ["running", "lost", "running"]
    states.camera("top", "ended", "shown")
    states.trigger("top", "no PLC")
    assert news() == [("top", "ended", "shown")], "no fault of something that is over"


def test_cameras_do_not_share_a_fault() -> None:
    told: list[tuple[str, State, str]] = []
    states = States(lambda *each: told.append(each))
    states.camera("top", "running", "")
    states.camera("side", "running", "")
    told.clear()
    states.trigger("side", "no broker")
    assert told == [("side", "lost", "no broker")]
