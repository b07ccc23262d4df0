// Package state keeps a role's files: where its folder is, that only one
// process uses it, and that a file on disk is always old or new, never half.
//
// Durability: WriteFile and Replace return only after the bytes and the name
// that leads to them are on disk. A reader that opens the path at any moment,
// or after a crash at any moment, finds the complete old content or the
// complete new one.
package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the content of path with data; see Replace.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return Replace(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Replace gives path the content that fill writes: into a new file beside
// it, synced, renamed over path, and the folder synced. When fill or any step
// fails, path is as it was and nothing is left beside it.
func Replace(path string, perm fs.FileMode, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Remove deletes path durably. A path that is not there is no error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// tempSuffix marks the files that Replace is still filling, so that Sweep can
// tell those of a killed process from everything else.
const tempSuffix = ".b8s-tmp"

// Sweep removes what a killed process left half-written in dir.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".*"+tempSuffix))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove half-written %s: %w", path, err)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// CopyFile gives path the content of the file from; see Replace.
func CopyFile(path, from string, perm fs.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return Replace(path, perm, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
