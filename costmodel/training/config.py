"""What a training run is made of, as written in a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from costmodel.errors import DataError
from costmodel.features import FEATURE_NAMES
from costmodel.graph import VOCABULARY
from costmodel.model import LatencyModelConfig, NNFormerConfig
from costmodel.training.loop import FitConfig
from costmodel.training.sources import Source, TableSource

__all__ = ["ModelShape", "TrainConfig", "read_config"]


class ModelShape(BaseModel):
    """Sizes of the model; what depends on the data or the features is filled in by the run.

    Attributes:
        dim: Width of the node embeddings.
        depth: Number of blocks.
        heads: Attention heads, a multiple of four.
        ffn_ratio: Hidden width of the feed-forward networks over ``dim``.
        dropout: In the blocks.
        layer_scale: Initial scale of the blocks' branches, or none.
        head_width: Hidden units of the heads, shared by all platforms.
        correction_limit: Bound of the log correction of the prior.
        use_prior: Whether to start from the physical prior.
        kernel_rates: Whether each class of kernels has rates of its own in the prior.
        graph_correction_limit: Bound of the log correction of the whole network; 0 leaves it out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = 128
    depth: int = 3
    heads: int = 4
    ffn_ratio: int = 2
    dropout: float = 0.05
    layer_scale: float | None = 0.1
    head_width: int = 128
    correction_limit: float = 3.0
    use_prior: bool = True
    kernel_rates: bool = True
    graph_correction_limit: float = 0.5

    def for_platforms(self, count: int) -> LatencyModelConfig:
        """The model's full configuration, with heads for ``count`` platforms."""
        trunk = NNFormerConfig(
            num_op_types=len(VOCABULARY),
            num_features=len(FEATURE_NAMES),
            dim=self.dim,
            depth=self.depth,
            heads=self.heads,
            ffn_ratio=self.ffn_ratio,
            dropout=self.dropout,
            layer_scale=self.layer_scale,
        )
        return LatencyModelConfig(
            trunk=trunk,
            num_platforms=count,
            head_width=self.head_width,
            correction_limit=self.correction_limit,
            use_prior=self.use_prior,
            kernel_rates=self.kernel_rates,
            graph_correction_limit=self.graph_correction_limit,
        )


class TrainConfig(BaseModel):
    """A training run.

    Attributes:
        name: Name of the weights.
        members: Models to train; each leaves out one share of the architecture families, on which its
            error is measured, and together they are the predictor.
        model: Sizes of each member.
        fit: How each member is trained.
        sources: Where the measured networks come from.
        start_from: Weights, a name or a folder, whose graph transformer to start from instead of from nothing;
            then ``model`` says nothing of its sizes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    start_from: str | None = None
    members: int = Field(default=5, ge=2)
    model: ModelShape = ModelShape()
    fit: FitConfig = FitConfig()
    sources: tuple[Source, ...] = Field(min_length=1)


def read_config(path: Path) -> TrainConfig:
    """Read a TOML file; relative paths in it are taken from its own folder.

    A CSV table of measurements, see :class:`TableSource`, does as well: it is trained on with every setting at its
    default, in as many members as the table has families, five at most.

    Raises:
        DataError: No such file, no TOML, or a key that is missing, unknown or of the wrong type.
    """
    if path.suffix.lower() == ".csv":
        source = TableSource(path=path)
        families = {measurement.family for measurement in source.measurements()}
        return TrainConfig(name=path.stem, members=min(max(len(families), 2), 5), sources=(source,))
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} cannot be read as TOML: {error}.") from error
    try:
        config = TrainConfig.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise DataError(f"{path}: {faults}.") from error
    sources = tuple(source.relative_to(path.parent) for source in config.sources)
    return config.model_copy(update={"sources": sources})
