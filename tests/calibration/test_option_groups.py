from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from costmodel.calibration.cli.option_groups import with_option_groups


@dataclass(frozen=True)
class Parcel:
    weight: Annotated[int, typer.Option(min=1)]
    colour: Annotated[str, typer.Option("--paint", "-c")] = "brown"


@with_option_groups
def send(to: str, parcel: Parcel, fast: bool = False) -> None:
    print(to, parcel, fast)


def run(*arguments: str):
    app = typer.Typer()
    app.command()(send)
    return CliRunner().invoke(app, arguments)


def test_fields_are_options_beside_the_commands_own():
    assert run("Ada", "--weight", "2", "--fast").stdout == "Ada Parcel(weight=2, colour='brown') True\n"
    assert run("Ada", "--weight", "2", "-c", "red").stdout == "Ada Parcel(weight=2, colour='red') False\n"


def test_a_field_is_checked_like_any_option():
    assert run("Ada").exit_code == 2, "no default"
    assert run("Ada", "--weight", "0").exit_code == 2, "below its minimum"
