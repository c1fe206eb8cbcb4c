"""Placing images in one folder per cluster, as links, copies or by moving them, and undoing it.

The journal is written before the first file is placed, so that after an interruption at any moment `undo_placement`
knows each file that may have been placed. It removes a file only if it is unchanged and its content exists in an
independent file; nothing is ever overwritten.
"""

from imgcluster.placement.journal import (
    CLUSTERS_FOLDER,
    Journal,
    check_mode,
    choose_mode,
    read_journal,
)
from imgcluster.placement.place import PlacementResult, place
from imgcluster.placement.plan import (
    NOISE_FOLDER,
    UNSORTED_FOLDER,
    FolderName,
    folder_name,
    group_folder_name,
    plan_placement,
)
from imgcluster.placement.relocation import change_placement, relocate
from imgcluster.placement.undo import UndoResult, undo_placement
from imgcluster.types import PLACE_MODES, PlaceMode

__all__ = [
    "CLUSTERS_FOLDER",
    "NOISE_FOLDER",
    "PLACE_MODES",
    "UNSORTED_FOLDER",
    "FolderName",
    "Journal",
    "PlaceMode",
    "PlacementResult",
    "UndoResult",
    "change_placement",
    "check_mode",
    "choose_mode",
    "folder_name",
    "group_folder_name",
    "place",
    "plan_placement",
    "read_journal",
    "relocate",
    "undo_placement",
]
