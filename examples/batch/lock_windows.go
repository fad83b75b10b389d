package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock keeps a second run out for as long as this process lives. It locks a byte that is not there, far behind the end:
// what is locked cannot be read by others.
func lock(file *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}
