package verbs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"b8s/config"
	"b8s/control"
	"b8s/records"
)

// loadConfig reads the b8s.yaml at path, or, with an empty path, the nearest
// one from here upwards. The error wraps fs.ErrNotExist where there is none.
func loadConfig(path string) (*config.File, error) {
	if path == "" {
		var err error
		if path, err = config.Find("."); err != nil {
			return nil, err
		}
	}
	return config.Load(path)
}

// readWish reads the configuration and its zone files: what the operator
// wishes, by contents. All that is wrong in them is in the error.
func readWish(path string) (wish records.Wish, err error) {
	file, err := loadConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return wish, control.Usage(err, "write one (see the README), or name it with --config")
	}
	if err != nil {
		return wish, control.Failed(err, "nothing was published")
	}
	if wish, err = file.Wish(); err != nil {
		return wish, control.Failed(err, "nothing was published")
	}
	return wish, nil
}

// readKey reads a licence key that stands alone in its file.
func readKey(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(text))
	if len(words) != 1 {
		return "", fmt.Errorf("%s: want the licence key alone, found %d words", path, len(words))
	}
	return words[0], nil
}
