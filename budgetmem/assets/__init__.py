"""Model weights and tokenizers: a catalogue, verified pulls, and where the files lie."""

from budgetmem.assets.catalogue import Asset, load_catalogue
from budgetmem.assets.installed import AssetStatus, asset_dir, cache_root, status, verify
from budgetmem.assets.progress import Progress, progress_for
from budgetmem.assets.pulling import pull

__all__ = [
    "Asset",
    "AssetStatus",
    "Progress",
    "asset_dir",
    "cache_root",
    "load_catalogue",
    "progress_for",
    "pull",
    "status",
    "verify",
]
