//go:build !linux

package durable

import (
	"path/filepath"
	"strings"
)

// networkFileSystem names the network file system that a file is on; empty if it is on none that is known. A
// Windows share is known by its path.
func networkFileSystem(path string) string {
	if strings.HasPrefix(filepath.ToSlash(path), "//") {
		return "a network share"
	}
	return ""
}
