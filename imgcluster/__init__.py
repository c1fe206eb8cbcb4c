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

_HOME: Final = {
    "__version__": "_version",
    "Encoder": "commands.encode",
    "EncoderInfo": "encoders",
    "ClusterOptions": "options",
    "EmbedOptions": "options",
    "EncoderOptions": "options",
    "RayOptions": "options",
    "ClusteringError": "errors",
    "DeviceError": "errors",
    "EncoderError": "errors",
    "ImgclusterError": "errors",
    "NoImagesError": "errors",
    "PlacementError": "errors",
    "PlanError": "errors",
    "RayClusterError": "errors",
    "SourceError": "errors",
    "UsageError": "errors",
    "WorkspaceError": "errors",
    "ApplySummary": "commands.apply",
    "apply": "commands.apply",
    "AssignSummary": "commands.assign",
    "assign": "commands.assign",
    "ClusterSummary": "commands.cluster",
    "cluster": "commands.cluster",
    "Comparison": "commands.compare_clusterings",
    "compare": "commands.compare_clusterings",
    "cluster_on_ray": "commands.cluster_ray",
    "EncoderComparison": "commands.compare_encoders",
    "compare_encoders": "commands.compare_encoders",
    "DoctorSummary": "commands.doctor",
    "doctor": "commands.doctor",
    "DuplicateRow": "workspace.table_columns",
    "DuplicatesSummary": "commands.duplicates",
    "duplicates": "commands.duplicates",
    "EmbedSummary": "commands.support.embed_summary",
    "embed": "commands.embed",
    "NodeFigures": "commands.support.embed_summary",
    "embed_on_ray": "commands.embed_ray",
    "embed_into_store": "commands.embed_store",
    "EncoderEntry": "commands.encoders",
    "EncoderFiles": "commands.encoder_files",
    "encoder_export": "commands.encoder_files",
    "encoder_import": "commands.encoder_files",
    "encoder_pull": "commands.encoder_files",
    "encoder_remove": "commands.encoder_files",
    "encoder_info": "commands.encoders",
    "encoder_list": "commands.encoders",
    "EvaluateSummary": "commands.evaluate",
    "evaluate": "commands.evaluate",
    "ExportSummary": "commands.export",
    "export": "commands.export",
    "ImportSummary": "commands.import_vectors",
    "import_vectors": "commands.import_vectors",
    "GenerateSummary": "commands.generate",
    "generate": "commands.generate",
    "HistorySummary": "commands.history",
    "history": "commands.history",
    "Collection": "commands.load",
    "load": "commands.load",
    "ReconstructSummary": "commands.reconstruct",
    "reconstruct": "commands.reconstruct",
    "ReportSummary": "commands.report",
    "report_page": "commands.report",
    "RunSummary": "commands.run",
    "run": "commands.run",
    "ShardStatus": "commands.merge",
    "ShardsSummary": "commands.merge",
    "finish_shards": "commands.merge",
    "merge": "commands.merge",
    "shards_status": "commands.merge",
    "OutlierRow": "workspace.table_columns",
    "OutliersSummary": "commands.outliers",
    "outliers": "commands.outliers",
    "SearchSummary": "commands.search",
    "search": "commands.search",
    "SimilarSummary": "commands.similar",
    "similar": "commands.similar",
    "SortSummary": "commands.sort",
    "sort": "commands.sort",
    "UndoSummary": "commands.undo",
    "undo": "commands.undo",
    "Finding": "commands.verify",
    "VerifySummary": "commands.verify",
    "verify": "commands.verify",
    "Progress": "progress",
}

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
