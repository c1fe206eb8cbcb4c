"""Folders of clusters: placing images as links, copies or by moving them, and undoing all of it.

The placement is written to the journal before the first file is touched, so that after a kill at any moment
`undo_placement` knows each file that may have been placed. It removes only what is still as it was placed, and only
where the content is safe in an independent file; it never overwrites.
"""

from imgcluster.placement.journal import CLUSTERS_FOLDER, PLACE_MODES, Journal, PlaceMode, check_mode, read_journal
from imgcluster.placement.place import Placed, place
from imgcluster.placement.plan import NOISE_FOLDER, folder_name, plan
from imgcluster.placement.relocation import relocate
from imgcluster.placement.undo import UndoResult, undo_placement

__all__ = [
    "CLUSTERS_FOLDER",
    "NOISE_FOLDER",
    "PLACE_MODES",
    "Journal",
    "PlaceMode",
    "Placed",
    "UndoResult",
    "check_mode",
    "folder_name",
    "place",
    "plan",
    "read_journal",
    "relocate",
    "undo_placement",
]
