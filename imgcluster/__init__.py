"""imgcluster sorts folders of images into clusters; these functions are what its commands run.

>>> import imgcluster
>>> imgcluster.embed(["photos"], workspace="out")  # doctest: +SKIP
>>> imgcluster.cluster(workspace="out", k=10)  # doctest: +SKIP

They are loaded at first use, so that ``import imgcluster`` costs nothing.
"""

from __future__ import annotations

# Without typing and importlib, whose import takes longer than the rest; until then a signal gives a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Final

    from imgcluster._version import __version__
    from imgcluster.commands.apply import ApplySummary, apply
    from imgcluster.commands.assign import AssignSummary, assign
    from imgcluster.commands.cluster import ClusterSummary, cluster
    from imgcluster.commands.cluster_ray import cluster_on_ray
    from imgcluster.commands.compare_clusterings import Comparison, compare
    from imgcluster.commands.compare_encoders import EncoderComparison, compare_encoders
    from imgcluster.commands.doctor import DoctorSummary, doctor
    from imgcluster.commands.duplicates import DuplicatesSummary, duplicates
    from imgcluster.commands.embed import embed
    from imgcluster.commands.embed_ray import embed_on_ray
    from imgcluster.commands.embed_store import embed_into_store
    from imgcluster.commands.encode import Encoder
    from imgcluster.commands.encoder_files import (
        EncoderFiles,
        encoder_export,
        encoder_import,
        encoder_pull,
        encoder_remove,
    )
    from imgcluster.commands.encoders import EncoderEntry, encoder_info, encoder_list
    from imgcluster.commands.evaluate import EvaluateSummary, evaluate
    from imgcluster.commands.export import ExportSummary, export
    from imgcluster.commands.generate import GenerateSummary, generate
    from imgcluster.commands.history import HistorySummary, history
    from imgcluster.commands.import_vectors import ImportSummary, import_vectors
    from imgcluster.commands.load import Collection, load
    from imgcluster.commands.merge import ShardsSummary, ShardStatus, finish_shards, merge, shards_status
    from imgcluster.commands.outliers import OutliersSummary, outliers
    from imgcluster.commands.reconstruct import ReconstructSummary, reconstruct
    from imgcluster.commands.report import ReportSummary, report_page
    from imgcluster.commands.run import RunSummary, run
    from imgcluster.commands.search import SearchSummary, search
    from imgcluster.commands.similar import SimilarSummary, similar
    from imgcluster.commands.sort import SortSummary, sort
    from imgcluster.commands.support.embed_summary import EmbedSummary, NodeFigures
    from imgcluster.commands.undo import UndoSummary, undo
    from imgcluster.commands.verify import Finding, VerifySummary, verify
    from imgcluster.encoders import EncoderInfo
    from imgcluster.errors import (
        ClusteringError,
        DeviceError,
        EncoderError,
        ImgclusterError,
        NoImagesError,
        PlacementError,
        PlanError,
        RayClusterError,
        SourceError,
        UsageError,
        WorkspaceError,
    )
    from imgcluster.options import ClusterOptions, EmbedOptions, EncoderOptions, RayOptions
    from imgcluster.progress import Progress
    from imgcluster.workspace.table_columns import DuplicateRow, OutlierRow

_NAMES: Final = {
    "_version": ("__version__",),
    "commands.apply": ("ApplySummary", "apply"),
    "commands.assign": ("AssignSummary", "assign"),
    "commands.cluster": ("ClusterSummary", "cluster"),
    "commands.cluster_ray": ("cluster_on_ray",),
    "commands.compare_clusterings": ("Comparison", "compare"),
    "commands.compare_encoders": ("EncoderComparison", "compare_encoders"),
    "commands.doctor": ("DoctorSummary", "doctor"),
    "commands.duplicates": ("DuplicatesSummary", "duplicates"),
    "commands.embed": ("embed",),
    "commands.embed_ray": ("embed_on_ray",),
    "commands.embed_store": ("embed_into_store",),
    "commands.encode": ("Encoder",),
    "commands.encoder_files": ("EncoderFiles", "encoder_export", "encoder_import", "encoder_pull", "encoder_remove"),
    "commands.encoders": ("EncoderEntry", "encoder_info", "encoder_list"),
    "commands.evaluate": ("EvaluateSummary", "evaluate"),
    "commands.export": ("ExportSummary", "export"),
    "commands.generate": ("GenerateSummary", "generate"),
    "commands.history": ("HistorySummary", "history"),
    "commands.import_vectors": ("ImportSummary", "import_vectors"),
    "commands.load": ("Collection", "load"),
    "commands.merge": ("ShardStatus", "ShardsSummary", "finish_shards", "merge", "shards_status"),
    "commands.outliers": ("OutliersSummary", "outliers"),
    "commands.reconstruct": ("ReconstructSummary", "reconstruct"),
    "commands.report": ("ReportSummary", "report_page"),
    "commands.run": ("RunSummary", "run"),
    "commands.search": ("SearchSummary", "search"),
    "commands.similar": ("SimilarSummary", "similar"),
    "commands.sort": ("SortSummary", "sort"),
    "commands.support.embed_summary": ("EmbedSummary", "NodeFigures"),
    "commands.undo": ("UndoSummary", "undo"),
    "commands.verify": ("Finding", "VerifySummary", "verify"),
    "encoders": ("EncoderInfo",),
    "errors": (
        "ClusteringError",
        "DeviceError",
        "EncoderError",
        "ImgclusterError",
        "NoImagesError",
        "PlacementError",
        "PlanError",
        "RayClusterError",
        "SourceError",
        "UsageError",
        "WorkspaceError",
    ),
    "options": ("ClusterOptions", "EmbedOptions", "EncoderOptions", "RayOptions"),
    "progress": ("Progress",),
    "workspace.table_columns": ("DuplicateRow", "OutlierRow"),
}
"""The exported names of each module."""

_HOME: Final = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "ApplySummary",
    "AssignSummary",
    "ClusterOptions",
    "ClusterSummary",
    "ClusteringError",
    "Collection",
    "Comparison",
    "DeviceError",
    "DoctorSummary",
    "DuplicateRow",
    "DuplicatesSummary",
    "EmbedOptions",
    "EmbedSummary",
    "Encoder",
    "EncoderComparison",
    "EncoderEntry",
    "EncoderError",
    "EncoderFiles",
    "EncoderInfo",
    "EncoderOptions",
    "EvaluateSummary",
    "ExportSummary",
    "Finding",
    "GenerateSummary",
    "HistorySummary",
    "ImgclusterError",
    "ImportSummary",
    "NoImagesError",
    "NodeFigures",
    "OutlierRow",
    "OutliersSummary",
    "PlacementError",
    "PlanError",
    "Progress",
    "RayClusterError",
    "RayOptions",
    "ReconstructSummary",
    "ReportSummary",
    "RunSummary",
    "SearchSummary",
    "ShardStatus",
    "ShardsSummary",
    "SimilarSummary",
    "SortSummary",
    "SourceError",
    "UndoSummary",
    "UsageError",
    "VerifySummary",
    "WorkspaceError",
    "__version__",
    "apply",
    "assign",
    "cluster",
    "cluster_on_ray",
    "compare",
    "compare_encoders",
    "doctor",
    "duplicates",
    "embed",
    "embed_into_store",
    "embed_on_ray",
    "encoder_export",
    "encoder_import",
    "encoder_info",
    "encoder_list",
    "encoder_pull",
    "encoder_remove",
    "evaluate",
    "export",
    "finish_shards",
    "generate",
    "history",
    "import_vectors",
    "load",
    "merge",
    "outliers",
    "reconstruct",
    "report_page",
    "run",
    "search",
    "shards_status",
    "similar",
    "sort",
    "undo",
    "verify",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'imgcluster' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"imgcluster.{_HOME[name]}"), name)
