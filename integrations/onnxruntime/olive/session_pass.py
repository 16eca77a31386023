"""The pass ``CostModelSession``: the settings of a session as a search space, nothing measured."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from olive.passes import Pass
from olive.passes.pass_config import PassConfigParam
from olive.search.search_parameter import Categorical

from costmodel.integrations.onnxruntime.candidates import DEFAULT_GRAPH_OPTIMIZATIONS
from costmodel.integrations.onnxruntime.olive.variant_of_model import GRAPH_OPTIMIZATION_NUMBERS
from costmodel.integrations.onnxruntime.session_config import check_session_config
from costmodel.integrations.onnxruntime.variant import Variant

if TYPE_CHECKING:
    from olive.model import ONNXModelHandler

__all__ = ["CostModelSession"]


class CostModelSession(Pass):  # type: ignore[misc]  # Olive has no types
    """Writes the options of a session into the model's ``inference_settings``, where sessions are made from them.

    Olive's own ``OrtSessionParamsTuning`` measures in the middle of the pass, which leaves an evaluator nothing to ask.
    """

    @classmethod
    def _default_config(cls, accelerator_spec: object) -> dict[str, PassConfigParam]:  # noqa: ARG003
        return {
            "graph_optimization": PassConfigParam(
                type_=str,
                default_value="all",
                search_defaults=Categorical(list(DEFAULT_GRAPH_OPTIMIZATIONS)),
                description="Level of graph optimisation: none, basic, extended or all.",
            ),
            "threads": PassConfigParam(
                type_=int, default_value=1, search_defaults=Categorical([1]), description="Intra-op threads."
            ),
            "session_config": PassConfigParam(
                type_=dict, default_value=None, description="Further entries of the session's configuration."
            ),
        }

    def _run_for_config(
        self,
        model: ONNXModelHandler,
        config: Any,
        output_model_path: str,  # noqa: ARG002  # the model's file stays as it is
    ) -> ONNXModelHandler:
        entries = config.session_config or {}
        check_session_config(entries)
        Variant(graph_optimization=config.graph_optimization, threads=config.threads)  # which refuses what is wrong
        chosen = deepcopy(model)
        settings = dict(chosen.inference_settings or {})
        settings["session_options"] = {
            "graph_optimization_level": GRAPH_OPTIMIZATION_NUMBERS[config.graph_optimization],
            "intra_op_num_threads": config.threads,
            "inter_op_num_threads": 1,
            "execution_mode": 0,
            **({"extra_session_config": dict(entries)} if entries else {}),
        }
        chosen.inference_settings = settings
        return chosen
