package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// postgres starts a PostgreSQL server of the test's own, and returns the URL of its database.
func postgres(t *testing.T) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append([]string{path}, found...)
	}
	require.NotEmpty(t, found, "no PostgreSQL server is installed (apt-get install postgresql)")
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "shop-postgres-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	asPostgres := func(name string, args ...string) *exec.Cmd { return exec.Command(filepath.Join(bin, name), args...) }
	if account, err := user.Lookup("postgres"); os.Getuid() == 0 && err == nil { // root may not run it
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		require.NoError(t, os.Chown(dir, uid, gid))
		asPostgres = func(name string, args ...string) *exec.Cmd {
			return exec.Command("runuser", append([]string{"-u", "postgres", "--", filepath.Join(bin, name)}, args...)...)
		}
	}
	do := func(name string, args ...string) error {
		command := asPostgres(name, args...)
		command.Dir = dir
		log, err := os.CreateTemp(t.TempDir(), name)
		require.NoError(t, err)
		defer log.Close()
		command.Stdout, command.Stderr = log, log // no pipe: the server would keep it open
		if err := command.Run(); err != nil {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s: %w: %s", name, err, said)
		}
		return nil
	}
	data := filepath.Join(dir, "data")
	require.NoError(t, do("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-instructions"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	require.NoError(t, do("pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-w", "-o", fmt.Sprintf("-p %d -k %s -h 127.0.0.1", port, dir), "start"))
	t.Cleanup(func() { _ = do("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop") })
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
}
