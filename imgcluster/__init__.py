"""imgcluster sorts folders of images into clusters; these functions are what its commands run.

>>> import imgcluster
>>> imgcluster.embed(["photos"], workspace="out")  # doctest: +SKIP
>>> imgcluster.cluster(workspace="out", k=10)  # doctest: +SKIP

They are loaded at first use, so that ``import imgcluster`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from imgcluster._version import __version__
    from imgcluster.encoders import EncoderInfo, EncoderOptions
    from imgcluster.errors import (
        ClusteringError,
        DeviceError,
        EncoderError,
        ImgclusterError,
        NoImagesError,
        PlacementError,
        PlanError,
        UsageError,
        WorkspaceError,
    )
    from imgcluster.pipeline.apply import ApplySummary, apply
    from imgcluster.pipeline.cluster import ClusterSummary, cluster
    from imgcluster.pipeline.compare import Comparison, compare
    from imgcluster.pipeline.doctor import DoctorSummary, doctor
    from imgcluster.pipeline.embed import EmbedSummary, embed
    from imgcluster.pipeline.encode import Encoder
    from imgcluster.pipeline.encoders import EncoderEntry, encoder_info, encoder_list
    from imgcluster.pipeline.evaluate import EvaluateSummary, evaluate
    from imgcluster.pipeline.report import report_page
    from imgcluster.pipeline.run import RunSummary, run
    from imgcluster.pipeline.undo import UndoSummary, undo
    from imgcluster.progress import Progress

_HOME: Final = {
    "__version__": "_version",
    "Encoder": "pipeline.encode",
    "EncoderInfo": "encoders",
    "EncoderOptions": "encoders",
    "ClusteringError": "errors",
    "DeviceError": "errors",
    "EncoderError": "errors",
    "ImgclusterError": "errors",
    "NoImagesError": "errors",
    "PlacementError": "errors",
    "PlanError": "errors",
    "UsageError": "errors",
    "WorkspaceError": "errors",
    "ApplySummary": "pipeline.apply",
    "apply": "pipeline.apply",
    "ClusterSummary": "pipeline.cluster",
    "cluster": "pipeline.cluster",
    "Comparison": "pipeline.compare",
    "compare": "pipeline.compare",
    "DoctorSummary": "pipeline.doctor",
    "doctor": "pipeline.doctor",
    "EmbedSummary": "pipeline.embed",
    "embed": "pipeline.embed",
    "EncoderEntry": "pipeline.encoders",
    "encoder_info": "pipeline.encoders",
    "encoder_list": "pipeline.encoders",
    "EvaluateSummary": "pipeline.evaluate",
    "evaluate": "pipeline.evaluate",
    "report_page": "pipeline.report",
    "RunSummary": "pipeline.run",
    "run": "pipeline.run",
    "UndoSummary": "pipeline.undo",
    "undo": "pipeline.undo",
    "Progress": "progress",
}

__all__ = [
    "ApplySummary",
    "ClusterSummary",
    "ClusteringError",
    "Comparison",
    "DeviceError",
    "DoctorSummary",
    "EmbedSummary",
    "Encoder",
    "EncoderEntry",
    "EncoderError",
    "EncoderInfo",
    "EncoderOptions",
    "EvaluateSummary",
    "ImgclusterError",
    "NoImagesError",
    "PlacementError",
    "PlanError",
    "Progress",
    "RunSummary",
    "UndoSummary",
    "UsageError",
    "WorkspaceError",
    "__version__",
    "apply",
    "cluster",
    "compare",
    "doctor",
    "embed",
    "encoder_info",
    "encoder_list",
    "evaluate",
    "report_page",
    "run",
    "undo",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'imgcluster' has no attribute {name!r}")
    return getattr(importlib.import_module(f"imgcluster.{_HOME[name]}"), name)
