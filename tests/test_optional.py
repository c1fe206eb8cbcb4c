"""Optional packages are imported without settings of the current folder, which can be a stranger's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imgcluster.optional import UnavailablePackage, import_optional

READS_SETTINGS = """
try:
    import yaml
except ImportError:
    yaml = None
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages in place of those that are installed."""
    for name in ("numba", "umap", "yaml"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "yaml.py").touch()
    (tmp_path / "umap.py").write_text("import numba\nUMAP = numba", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("imported", [True, False])
def test_numba_finds_no_parser_for_the_settings_of_the_current_folder(packages: Path, imported: bool) -> None:
    (packages / "numba.py").write_text(READS_SETTINGS, encoding="utf-8")
    if imported:
        import yaml
    assert import_optional("umap").UMAP.yaml is None
    import yaml

    assert yaml.__file__ == str(packages / "yaml.py")


def test_without_numba_the_message_names_it(packages: Path) -> None:
    (packages / "numba.py").write_text("raise ModuleNotFoundError('nothing', name='numba')", encoding="utf-8")
    with pytest.raises(UnavailablePackage, match="umap"):
        import_optional("umap")
