package control

import (
	"io/fs"
	"os"
	"syscall"
)

// private tells whether a folder is this user's and closed to all others, so
// that nobody else can have put a socket there.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && info.Mode().Perm() == 0o700 && int(st.Uid) == os.Getuid()
}
