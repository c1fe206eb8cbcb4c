"""Labelled folders: placing images as links, copies or by moving them, and taking all of it back.

A plan is written to the journal before the first file is touched, so that whatever happens, `take_back` knows each
file that may have been placed. It removes only what is still as it was placed, and only where the original is
still there; it never overwrites.
"""

from imgcluster.placement.journal import PLACE_MODES, Journal, PlaceMode, check_mode, read_journal
from imgcluster.placement.placing import NOISE_FOLDER, Placed, folder_name, place, plan
from imgcluster.placement.relocating import relocate
from imgcluster.placement.taking_back import TakenBack, take_back

__all__ = [
    "NOISE_FOLDER",
    "PLACE_MODES",
    "Journal",
    "PlaceMode",
    "Placed",
    "TakenBack",
    "check_mode",
    "folder_name",
    "place",
    "plan",
    "read_journal",
    "relocate",
    "take_back",
]
