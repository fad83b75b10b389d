package fetch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommit(t *testing.T) {
	t.Run("a_part_that_the_disk_cannot_keep_replaces_nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "video.mp4")
		require.NoError(t, os.WriteFile(path, []byte("the old video"), 0o600))
		r, w, err := os.Pipe() // which cannot be synced
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		assert.Error(t, commit(w, path))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "the old video", string(got))
	})
}
