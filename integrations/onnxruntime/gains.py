"""What variants bring on average, whatever the network: all there is to go by where a platform is not known."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from costmodel.errors import DataError
from costmodel.files import replaced

__all__ = ["Gain", "Gains", "shipped_gains"]


class Gain(BaseModel):
    """How much longer a variant takes than the default session.

    Attributes:
        ratio: Latency over that of the default session, geometric mean over networks.
        low: Ratio that one network in twenty is below.
        high: Ratio that one network in twenty is above.
        networks: How many networks that is taken from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: PositiveFloat
    low: PositiveFloat
    high: PositiveFloat
    networks: PositiveInt


class Gains(BaseModel):
    """Mean gains on one machine; ``benchmarks/ort_variants.py`` writes them.

    Attributes:
        schema_version: Version of this layout.
        measured_on: Platform of the default session that they are relative to.
        by_precision: The gains, by :attr:`~costmodel.integrations.onnxruntime.Variant.precision`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    measured_on: str = Field(min_length=1)
    by_precision: dict[str, Gain]

    @classmethod
    def load(cls, path: Path) -> Gains:
        """Read a file that :meth:`save` wrote.

        Raises:
            DataError: It cannot be read, or is something else.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise DataError(f"cannot read the gains {path}: {error.strerror}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(f"{path} has no gains: {first['msg']}. benchmarks/ort_variants.py makes them.") from error

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        with replaced(path) as partial:
            partial.write_text(self.model_dump_json(indent=2) + "\n")


@cache
def shipped_gains() -> Gains:
    """Those that come with the package."""
    return Gains.model_validate_json(files(__package__).joinpath("gains.json").read_bytes())
