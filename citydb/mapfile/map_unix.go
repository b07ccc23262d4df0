//go:build unix

package mapfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapBytes(f *os.File, size int) (b []byte, mapped bool, err error) {
	b, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		b, err = readBytes(f, size)
		return b, false, err
	}
	return b, true, nil
}

// unmap has no way to fail on a mapping that this package made.
func unmap(b []byte) { _ = unix.Munmap(b) }
