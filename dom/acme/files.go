package acme

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"b8s/state"
)

// files is the state folder:
//
//	accounts/<id>/key.pem         the account's key, saved before the authority hears of it
//	accounts/<id>/account.json    its URL, once the authority told it
//	certs/<name>/order.json       the order under way: key, request, then the order's URL
//	certs/<name>/current.json     the certificate with its key
//	certs/<name>/record.json      failures, renewal time, what was published
//	revoke/<serial>.json          certificates to revoke
//	local/                        the local authority
//
// Each file is replaced as a whole and is on disk when the call returns.
type files struct{ dir string }

func (f files) local() string                  { return filepath.Join(f.dir, "local") }
func (f files) account(id, file string) string { return filepath.Join(f.dir, "accounts", id, file) }
func (f files) cert(name, file string) string  { return filepath.Join(f.dir, "certs", name, file) }
func (f files) revocation(serial string) string {
	return filepath.Join(f.dir, "revoke", serial+".json")
}
func (f files) revocationList() ([]string, error) { return filepath.Glob(f.revocation("*")) }

// prepare makes the folders, and removes what a killed process left half-written.
func (f files) prepare() error {
	for _, sub := range []string{"accounts", "certs", "revoke", "local"} {
		if err := os.MkdirAll(filepath.Join(f.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return state.Sweep(path)
	})
}

// certificates returns the names of those that have a folder.
func (f files) certificates() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, "certs"))
	for _, e := range entries {
		if e.IsDir() && certificateName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// removeCertificate removes a certificate's folder.
func (f files) removeCertificate(name string) error {
	return os.RemoveAll(filepath.Join(f.dir, "certs", name))
}

// save writes v as JSON to path, in a folder that is made with 0700. The
// errors of encoding/json name types and fields, never values.
func save(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return saveText(path, append(text, '\n'))
}

func saveText(path string, text []byte) error {
	point("before " + filepath.Base(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := state.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	point("after " + filepath.Base(path))
	return nil
}

func remove(path string) error {
	point("before removing " + filepath.Base(path))
	if err := state.Remove(path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	point("after removing " + filepath.Base(path))
	return nil
}

// read fills v from path; found is false if there is no such file.
func read(path string, v any) (found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("read %s: not what was saved: restore it from a backup, or remove it", path)
	}
	return true, nil
}

// point is called before and after each act that a kill could fall between.
// Tests replace it, to kill there.
var point = func(string) {}
