package durable

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// networkFileSystem names the network file system that a file is on; empty if it is on none that is known.
func networkFileSystem(path string) string {
	var stat unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &stat) != nil {
		return ""
	}
	switch uint32(stat.Type) { // signed on some architectures
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	case unix.AFS_FS_MAGIC, unix.AFS_SUPER_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	}
	return ""
}
