// Package mapfile reads a whole file as memory, mapped where the system can.
//
// A File is read only and safe for concurrent use. Its memory is given back
// by Close or, where nobody can say when the last reader is done, by the
// collector once the File is unreachable; a reader of Bytes therefore keeps
// the File alive until its last access (runtime.KeepAlive).
//
// The file must not be truncated or rewritten in place while it is open:
// b8s only ever replaces files by renaming, which leaves an open one whole.
package mapfile

import (
	"fmt"
	"os"
	"runtime"
)

// File is the content of a file at the time of Open.
type File struct {
	bytes   []byte
	cleanup runtime.Cleanup
	mapped  bool
}

// Open maps the file, or reads it where mapping is not to be had. A file of
// more than limit bytes is refused, as is an empty one.
func Open(path string, limit int64) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case size == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case size > limit:
		return nil, fmt.Errorf("%s has %d bytes, more than the limit of %d", path, size, limit)
	}
	b, mapped, err := mapBytes(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	m := &File{bytes: b, mapped: mapped}
	if mapped {
		m.cleanup = runtime.AddCleanup(m, unmap, b)
	}
	return m, nil
}

// Bytes is the content. It must not be written to, nor read after Close or
// after the File became unreachable.
func (f *File) Bytes() []byte { return f.bytes }

// Close gives the memory back at once. No reader may be left; a second Close
// does nothing.
func (f *File) Close() {
	if f.mapped {
		f.cleanup.Stop()
		unmap(f.bytes)
	}
	f.bytes, f.mapped = nil, false
}
