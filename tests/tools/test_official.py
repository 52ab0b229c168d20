from pathlib import Path

import typer
from typer.testing import CliRunner

from tools.official.__main__ import main

app = typer.Typer()
app.command()(main)


def test_help_teaches_how_to_get_the_official_code() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "--no-deps" in result.output
    assert "--throughput" in result.output


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--ppdet", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path}: no package ppdet in it: python -m pip install" in result.output
    (tmp_path / "ppdet").mkdir()
    result = CliRunner().invoke(app, ["--ppdet", str(tmp_path)])
    assert result.exit_code == 2
    assert "not paddledet 2.6.0" in result.output
