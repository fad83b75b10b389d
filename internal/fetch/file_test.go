package fetch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestToFileLeavesAllOrNothing(t *testing.T) {
	content := videoOf(100_000)
	broken := &host{content: content, header: etag(`"a"`), cuts: repeat(600, 100)}
	var cancel context.CancelFunc
	tests := []struct {
		name   string
		host   *host
		change func(*File)
		want   Kind
	}{
		{"when_the_connection_breaks", broken, func(*File) {}, Broken},
		{"when_the_file_is_too_large", &host{content: content}, func(f *File) { f.MaxSize = 10 }, TooLarge},
		{"when_the_context_ends", broken, func(f *File) { f.Progress = func(int64, int64) { cancel() } }, Ended},
	}
	for _, tt := range tests {
		for _, existed := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := existing(t)
					if !existed {
						require.NoError(t, os.Remove(path))
					}
					var ctx context.Context
					ctx, cancel = context.WithCancel(t.Context())
					defer cancel()
					tt.host.requests = nil
					n, err := newClient(tt.host).ToFile(ctx, fileAt(fileURL, tt.change), path)
					assert.Equal(t, tt.want, failureOf(t, err).Kind)
					assert.Zero(t, n)
					if existed {
						assert.Equal(t, oldFile, contentOf(t, path))
						return
					}
					entries, err := os.ReadDir(filepath.Dir(path))
					require.NoError(t, err)
					assert.Empty(t, entries)
				})
			})
		}
	}
	t.Run("when_the_callers_function_panics", func(t *testing.T) {
		path := existing(t)
		assert.Panics(t, func() {
			newClient(&host{content: content}).ToFile(t.Context(), fileAt(fileURL, func(f *File) {
				f.Progress = func(int64, int64) { panic("x") }
			}), path)
		})
		assert.Equal(t, oldFile, contentOf(t, path))
	})
}

func TestToFileReplacesAtOnce(t *testing.T) {
	path := existing(t)
	old, err := os.Open(path)
	require.NoError(t, err)
	defer old.Close()
	want := string(videoOf(100_000))
	_, err = newClient(&host{content: []byte(want)}).ToFile(t.Context(), fileAt(fileURL, func(f *File) {
		f.Progress = func(int64, int64) {
			got, err := os.ReadFile(path)
			assert.NoError(t, err)
			assert.Equal(t, oldFile, string(got), "until the new one is whole")
		}
	}), path)
	if runtime.GOOS == "windows" { // which does not replace an open file
		assert.Error(t, err)
		want = oldFile
	} else {
		require.NoError(t, err)
	}
	assert.True(t, contentOf(t, path) == want)
	before, err := io.ReadAll(old)
	require.NoError(t, err)
	assert.Equal(t, oldFile, string(before), "whoever has it open can still read it")
}

func TestToFileReplacesALinkItself(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a privilege for links")
	}
	target, dir := existing(t), t.TempDir()
	for name, to := range map[string]string{"link": target, "dangling": filepath.Join(dir, "none")} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Symlink(to, path))
		_, err := newClient(&host{content: videoOf(9)}).ToFile(t.Context(), fileAt(fileURL), path)
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular(), name)
	}
	assert.Equal(t, oldFile, contentOf(t, target))
}

func TestToFileKeepsPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has other permissions")
	}
	dir := t.TempDir()
	usual, err := os.Create(filepath.Join(dir, "usual"))
	require.NoError(t, err)
	defer usual.Close()
	want, err := usual.Stat()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sealed"), nil, 0o400))
	for name, mode := range map[string]os.FileMode{"new": want.Mode(), "secret": 0o600, "sealed": 0o400} {
		_, err := newClient(&host{content: videoOf(9)}).ToFile(t.Context(), fileAt(fileURL), filepath.Join(dir, name))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), name)
	}
}

func TestToFileChecksThePathBeforeItAsksForAByte(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, path string
		want       error
	}{
		{"a_NUL", "a\x00b", syscall.EINVAL},
		{"too_long_a_name", strings.Repeat("n", 300), syscall.ENAMETOOLONG},
		{"no_folder", filepath.Join("none", "video.mp4"), os.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if errors.Is(tt.want, syscall.ENAMETOOLONG) && runtime.GOOS == "windows" {
				t.Skip("the whole path counts there")
			}
			h := &host{content: videoOf(9)}
			_, err := newClient(h).ToFile(t.Context(), fileAt(fileURL), filepath.Join(dir, tt.path))
			assert.Equal(t, NotWritten, failureOf(t, err).Kind)
			assert.ErrorIs(t, failureOf(t, err).Err, tt.want)
			assert.Empty(t, h.requests)
		})
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestPathProblem(t *testing.T) {
	short, err := os.MkdirTemp("", "s") // a socket's path is limited
	require.NoError(t, err)
	defer os.RemoveAll(short)
	special := filepath.Join(short, "s") // stands for all special files
	socket, err := net.Listen("unix", special)
	require.NoError(t, err)
	defer socket.Close()
	tests := []struct{ name, path, want string }{
		{"empty", "", "names no file"},
		{"a_folders_name", short + "/", "names no file"},
		{"a_folder", short, "exists and is not a regular file"},
		{"a_socket", special, "exists and is not a regular file"},
		{"a_file", existing(t), ""},
		{"nothing", filepath.Join(short, "none", "v"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, PathProblem(tt.path)) })
	}
}

func TestToFileFailsWhenThePathBecomesAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "video.mp4")
	_, err := newClient(&host{content: videoOf(9)}).ToFile(t.Context(), fileAt(fileURL, func(f *File) {
		f.Progress = func(int64, int64) { assert.NoError(t, os.Mkdir(path, 0o700)) }
	}), path)
	assert.Equal(t, NotWritten, failureOf(t, err).Kind)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestCommitReplacesNothingWhenTheDiskFails(t *testing.T) {
	path := existing(t)
	r, part, err := os.Pipe() // which cannot be synced
	require.NoError(t, err)
	defer r.Close()
	defer part.Close()
	var failed *os.PathError
	assert.True(t, errors.As(commit(part, path), &failed))
	assert.Equal(t, "sync", failed.Op)
	assert.Equal(t, oldFile, contentOf(t, path))
}

// TestToFileSurvivesAKill runs itself in a process that is killed in the middle of a download.
func TestToFileSurvivesAKill(t *testing.T) {
	const variable = "FETCH_TEST_KILL"
	path := existing(t)
	if at := os.Getenv(variable); at != "" {
		path, server, _ := strings.Cut(at, " ")
		newClient(new(http.Transport)).ToFile(t.Context(), fileAt(server, private), path)
		return
	}
	half := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000000")
		w.Write(videoOf(1_000_000))
		http.NewResponseController(w).Flush()
		close(half)
		<-r.Context().Done()
	}))
	defer server.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"="+path+" "+server.URL)
	require.NoError(t, child.Start())
	<-half
	parts := func() (found []string) {
		found, _ = filepath.Glob(filepath.Join(filepath.Dir(path), ".creatify-*.part"))
		return found
	}
	assert.Eventually(t, func() bool {
		for _, part := range parts() {
			if info, err := os.Stat(part); err == nil && info.Size() > 0 {
				return true
			}
		}
		return false
	}, time.Minute, time.Millisecond)
	require.NoError(t, child.Process.Kill())
	assert.Error(t, child.Wait())
	if left := parts(); assert.Len(t, left, 1, "it is documented") {
		require.NoError(t, os.Remove(left[0]))
	}
	assert.Equal(t, oldFile, contentOf(t, path))
}
