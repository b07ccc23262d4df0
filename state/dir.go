package state

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by Open when another process has the folder.
var ErrLocked = errors.New("in use by another b8s process")

// Dir is a role's state folder, held by this process until Close.
type Dir struct {
	Path string
	lock *os.File
}

// Open makes the folder (0700) where it is missing, takes its lock, and
// removes what a killed process left half-written. It returns ErrLocked,
// wrapped with the path, while another process holds it. The kernel drops the
// lock when the process ends, however it ends.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("state folder %s: %w", path, err)
	}
	if err := Sweep(path); err != nil {
		lock.Close()
		return nil, err
	}
	return &Dir{Path: path, lock: lock}, nil
}

// checkOwner refuses another user's folder: what this process wrote there, its
// owner could not read.
func checkOwner(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return err
	}
	if int(st.Uid) == os.Geteuid() {
		return nil
	}
	owner := "#" + strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
		owner = u.Username
	}
	return fmt.Errorf("state folder %s belongs to user %s: run the command as that user (sudo -u %s …)", path, owner, owner)
}

// File returns the path of a file in the folder.
func (d *Dir) File(elem ...string) string {
	return filepath.Join(append([]string{d.Path}, elem...)...)
}

// Close gives the folder back. It unlocks by name: a child process that was just
// being forked may hold a copy of the file for a moment longer.
func (d *Dir) Close() error {
	return errors.Join(unix.Flock(int(d.lock.Fd()), unix.LOCK_UN), d.lock.Close())
}

// Default returns the state folder of a role ("dom" or "sub"): that of
// systemd's STATE_DIRECTORY if set; /var/lib/b8s/ROLE for root; else
// b8s/ROLE in the user's state folder (XDG_STATE_HOME, ~/.local/state).
func Default(role string) (string, error) {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib/b8s", role), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "b8s", role), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no state folder: %w (name one with --state)", err)
	}
	return filepath.Join(home, ".local", "state", "b8s", role), nil
}
