package fetch

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asNobody runs f in a thread without the permissions of root, in a folder of nobody's with a mode.
func asNobody(t *testing.T, mode os.FileMode, f func(path string)) (path string) {
	path = existing(t)
	nobody := os.Getuid()
	dir := filepath.Dir(path)
	if nobody == 0 {
		nobody = 65534
		require.NoError(t, os.Chown(path, nobody, nobody))
		require.NoError(t, os.Chown(dir, nobody, nobody))
	}
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, mode))
	defer os.Chmod(dir, 0o700)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends here
		if assert.NoError(t, syscall.Setfsuid(nobody)) {
			f(path)
		}
	}()
	<-done
	return path
}

func TestToFileInAFolderThatCannotBeSynced(t *testing.T) {
	path := asNobody(t, 0o300, func(path string) {
		_, err := os.Open(filepath.Dir(path))
		assert.ErrorIs(t, err, fs.ErrPermission)
		_, err = newClient(&host{content: videoOf(9)}).ToFile(t.Context(), fileAt(fileURL), path)
		assert.NoError(t, err)
	})
	assert.Equal(t, string(videoOf(9)), contentOf(t, path))
}

func TestToFileInAFolderThatCannotBeWritten(t *testing.T) {
	h := &host{content: videoOf(9)}
	path := asNobody(t, 0o500, func(path string) {
		_, err := newClient(h).ToFile(t.Context(), fileAt(fileURL), path)
		assert.Equal(t, NotWritten, failureOf(t, err).Kind)
		assert.ErrorIs(t, failureOf(t, err).Err, fs.ErrPermission)
	})
	assert.Empty(t, h.requests)
	assert.Equal(t, oldFile, contentOf(t, path))
}

// TestToFileOnADiskThatIsFull runs itself in a process that may write no more than 64 KiB to a file.
func TestToFileOnADiskThatIsFull(t *testing.T) {
	const variable = "FETCH_TEST_FULL_DISK"
	if path := os.Getenv(variable); path != "" {
		signal.Ignore(syscall.SIGXFSZ)
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
		_, err := newClient(&host{content: videoOf(100_000)}).ToFile(context.Background(), fileAt(fileURL), path)
		assert.Equal(t, NotWritten, failureOf(t, err).Kind)
		assert.ErrorIs(t, failureOf(t, err).Err, syscall.EFBIG)
		return
	}
	path := existing(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"="+path)
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, oldFile, contentOf(t, path))
}
