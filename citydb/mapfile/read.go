package mapfile

import (
	"io"
	"os"
)

func readBytes(f *os.File, size int) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(f, b)
	return b, err
}
