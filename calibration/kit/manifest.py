"""What a kit holds, and how it is to be measured: its file ``manifest.json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from costmodel.errors import DataError

__all__ = ["MANIFEST_FILE", "RESULTS_FILE", "KitModel", "KitSettings", "Manifest"]

MANIFEST_FILE = "manifest.json"
RESULTS_FILE = "results.jsonl"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KitModel(BaseModel):
    """One model of a kit.

    Attributes:
        name: Measurements are filed under it.
        file: Where it is in the kit; never outside of it.
        sha256: Of that file.
        graph_hash: :func:`~costmodel.data.weightless.graph_hash` of the model before its batch was fixed, as a
            :class:`~costmodel.calibration.Campaign` files it.
        batch: It is run at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    file: str = Field(pattern=r"^models/[\w.-]+\.onnx$")
    sha256: _Sha256
    graph_hash: _Sha256
    batch: PositiveInt


class KitSettings(BaseModel):
    """How the models are to be measured; options of the runner go before.

    Attributes:
        threads: Threads that one model is run with.
        visits: Visits to each model.
        runs: Timed runs in a visit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: PositiveInt
    visits: PositiveInt
    runs: PositiveInt


class Manifest(BaseModel):
    """The whole file.

    Attributes:
        schema_version: Version of its layout.
        costmodel_version: Version of this package that made the kit.
        settings: How to measure.
        models: What to measure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    costmodel_version: str
    settings: KitSettings
    models: Annotated[tuple[KitModel, ...], Field(min_length=1)]

    @classmethod
    def parse(cls, text: bytes, where: str) -> Manifest:
        """Read the file's content.

        Args:
            text: The content.
            where: Name of the file, for messages.

        Raises:
            DataError: It is no manifest, or one of a newer version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise DataError(
                f"{where} is not the manifest of a kit: {place}: {first['msg']}. Make the kit anew with: "
                "costmodel calibrate export"
            ) from error
