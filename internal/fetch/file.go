package fetch

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// PathProblem returns why a path cannot be downloaded to, or "". Other problems show only when it is written.
func PathProblem(path string) string {
	if path == "" || os.IsPathSeparator(path[len(path)-1]) {
		return "names no file"
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "exists and is not a regular file"
	}
	return ""
}

// ToFile downloads a file and returns its size. Until it is complete, it has another name in the same folder.
func (c *Client) ToFile(ctx context.Context, f File, path string) (int64, error) {
	d := &download{Client: c, File: f}
	part, err := createPart(path)
	if part != nil {
		defer func() { _ = os.Remove(part.Name()) }() // after the rename there is none
		defer part.Close()
	}
	if err != nil {
		return 0, d.fail(ctx, notWritten(err))
	}
	d.out, d.part = part, part
	if err := d.run(ctx); err != nil {
		return 0, err
	}
	if err := commit(part, path); err != nil {
		return 0, d.fail(ctx, notWritten(err))
	}
	return d.done, nil
}

// createPart makes a file beside path, with the permissions of the one that it replaces.
func createPart(path string) (*os.File, error) {
	old, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // such as a name too long
		return nil, err
	}
	name := filepath.Join(filepath.Dir(path), ".creatify-"+rand.Text()+".part")
	//nolint:gosec // the permissions are less the umask, as those of os.Create
	part, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil && old != nil {
		err = part.Chmod(old.Mode().Perm())
	}
	return part, err
}

// commit renames a part to path once it is synced to disk.
func commit(part *os.File, path string) error {
	if err := cmp.Or(part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = errors.Join(dir.Sync(), dir.Close()) // not every system can
	}
	return nil
}
