"""Whether a folder lies on a network file system, whose locks DuckDB and ours cannot rely on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psutil

# What Linux, macOS and BSD call them; of FUSE the ones that reach over a network. 9p is not here:
# it is how a container or a virtual machine sees its host's own disk.
NETWORK = {
    "afpfs", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "webdav",
}  # fmt: skip


@cache
def network_file_system(folder: Path) -> str | None:
    """What kind of network file system the folder (an absolute path) lies on; None for a disk of
    the machine's own."""
    kinds = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    for place in (folder, *folder.parents):
        if place in kinds:
            return kinds[place] if kinds[place] in NETWORK else None
    return None
