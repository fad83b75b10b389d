package creatify

import "syscall"

// WithFullDisk is the disk of a [JobsService.DownloadFile] that has no room for more bytes.
func WithFullDisk(room int) DownloadOption {
	return func(c *downloadConfig) {
		c.create = func(name string) (partFile, error) {
			part, err := createPart(name)
			return &fullDisk{part, room}, err
		}
	}
}

type fullDisk struct {
	partFile
	room int
}

func (f *fullDisk) Write(b []byte) (int, error) {
	n, err := f.partFile.Write(b[:min(len(b), f.room)])
	if f.room -= n; err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// WithFailingSync is a disk that takes the bytes and cannot keep them.
func WithFailingSync() DownloadOption {
	return func(c *downloadConfig) {
		c.create = func(name string) (partFile, error) {
			part, err := createPart(name)
			return failingSync{part}, err
		}
	}
}

type failingSync struct{ partFile }

func (failingSync) Sync() error { return syscall.EIO }
