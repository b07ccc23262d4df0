package kv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"b8s/state"

	"golang.org/x/sys/unix"
)

// blobs is a folder of files named by the SHA-256 of their bytes. A file
// under its final name is complete and was verified; what is still coming has
// a name that ends in .part, and beside it a .progress.
type blobs struct {
	dir string
	one chan struct{} // held while an object is fetched

	mu     sync.Mutex
	coming string // the digest that is being fetched
}

const (
	partSuffix     = ".part"
	progressSuffix = ".progress"
)

// progress is how far a transfer came, and is on disk no sooner than the bytes.
type progress struct {
	Digest   string `json:"digest"`
	NUID     string `json:"nuid"`     // of the upload that it comes from
	Offset   int64  `json:"offset"`   // bytes
	Revision uint64 `json:"revision"` // of the last chunk in them
}

func openBlobs(dir string) (*blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := state.Sweep(dir); err != nil {
		return nil, err
	}
	return &blobs{dir: dir, one: make(chan struct{}, 1)}, nil
}

func (b *blobs) path(digest string) string { return filepath.Join(b.dir, "sha256-"+digest) }

// come keeps what is fetched from Prune.
func (b *blobs) come(digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming = digest
}

// has says whether the blob is there, complete.
func (b *blobs) has(digest string) bool {
	info, err := os.Stat(b.path(digest))
	return err == nil && info.Mode().IsRegular()
}

func (b *blobs) readProgress(digest string) progress {
	var p progress
	text, err := os.ReadFile(b.path(digest) + progressSuffix)
	if err != nil || json.Unmarshal(text, &p) != nil || p.Digest != digest || p.Offset < 0 {
		return progress{Digest: digest}
	}
	return p
}

func (b *blobs) writeProgress(p progress) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return state.WriteFile(b.path(p.Digest)+progressSuffix, text, 0o600)
}

// drop removes what has come of a blob.
func (b *blobs) drop(digest string) error {
	return errors.Join(state.Remove(b.path(digest)+progressSuffix), state.Remove(b.path(digest)+partSuffix))
}

// finish gives a part its final name.
func (b *blobs) finish(digest string) error {
	if err := os.Rename(b.path(digest)+partSuffix, b.path(digest)); err != nil {
		return err
	}
	// Removing the progress syncs the folder, and with it the new name.
	return state.Remove(b.path(digest) + progressSuffix)
}

// room says whether the disk has space for size more bytes.
func (b *blobs) room(size int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(b.dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < size {
		return fmt.Errorf("%w: %d MiB are needed and %d MiB are left at %s", errDiskFull, size>>20, free>>20, b.dir)
	}
	return nil
}

// Prune removes the blobs, and what has come of blobs, that are not in keep.
// One that is being fetched stays.
func (r *Replica) Prune(keep ...string) error {
	b := r.blobs
	all, err := os.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("prune blobs: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range all {
		name, ok := strings.CutPrefix(f.Name(), "sha256-")
		digest, _, _ := strings.Cut(name, ".")
		if !ok || slices.Contains(keep, digest) || digest == b.coming {
			continue
		}
		if err := os.Remove(filepath.Join(b.dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("prune blobs: %w", err)
		}
	}
	return nil
}

// Blob is the path of a blob that is on disk, complete and verified; ok is
// false for one that is not.
func (r *Replica) Blob(digest string) (path string, ok bool) {
	if !digestForm.MatchString(digest) {
		return "", false
	}
	return r.blobs.path(digest), r.blobs.has(digest)
}
