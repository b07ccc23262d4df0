//go:build !unix

package mapfile

import "os"

func mapBytes(f *os.File, size int) (b []byte, mapped bool, err error) {
	b, err = readBytes(f, size)
	return b, false, err
}

func unmap([]byte) {}
