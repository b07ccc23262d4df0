// Package geolite gets a GeoLite2-City database: from MaxMind with an account
// id and a licence key, or from a file that someone else fetched.
//
// What it returns has been checked: the archive against MaxMind's checksum,
// the database by citydb.Check, every field of it. A download that was cut is
// continued, in the same call and in the next one after a restart; one that
// is already there is not fetched again. The licence key is sent to the
// origin of the URL alone, never to where it redirects, and stands in no
// error, log line or file of this package.
package geolite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"b8s/citydb"
	"b8s/state"
)

// DefaultURL is MaxMind's permanent address of the database.
const DefaultURL = "https://download.maxmind.com/geoip/databases/GeoLite2-City/download?suffix=tar.gz"

// Options tells what to download, and how. Credentials and Dir are required.
type Options struct {
	Credentials
	// Dir is where the database and an unfinished download are kept; it is
	// made if missing. One Download at a time may use it.
	Dir string
	// URL of the archive; the checksum's has ".sha256" behind the parameter
	// suffix, or behind the path if there is none. Empty: DefaultURL. Plain
	// http is only spoken to this machine.
	URL string
	// Client makes the requests; its CheckRedirect is not used. nil: one with
	// sensible limits.
	Client *http.Client
	// Progress is called now and then with the bytes of the archive that are
	// here and, if known (else 0), their total. nil: it isn't.
	Progress func(done, total int64)
	// Limits of the check; Thorough is implied.
	Limits citydb.Limits
	// MaxBytes is the largest archive taken; 0: 256 MiB.
	MaxBytes int64
	// Timeout for all of it; 0: 1 hour.
	Timeout time.Duration
	// Stall is how long a connection may bring nothing; 0: 60 s.
	Stall time.Duration
	// Pause before the first retry of a cut transfer, doubled for each one that
	// brought nothing new; 0: 2 s.
	Pause time.Duration
	Log   *slog.Logger // nil: nothing is logged
}

// Database is a checked database on disk.
type Database struct {
	Path      string
	Info      citydb.Info
	Unchanged bool // it was there already
}

const (
	databaseName = "city.mmdb"
	metaName     = "city.json"
	partName     = "download.part"
	partMetaName = "download.json"
)

// meta is what is remembered of a download, beside its file.
type meta struct {
	Source       string `json:"source"` // the URL without its secrets
	Sum          string `json:"sum"`    // SHA-256 of the archive
	LastModified string `json:"last_modified,omitempty"`
	ETag         string `json:"etag,omitempty"`
	Digest       string `json:"digest,omitempty"` // of the database that came out of it
}

// Download brings the database in Dir up to date. When it fails, the database
// that was there before is as it was. An answer of the server that needs the
// operator is an *HTTPError, which tells the next step.
func Download(ctx context.Context, o Options) (Database, error) {
	d, err := o.download()
	if err != nil {
		return Database{}, fmt.Errorf("download GeoLite: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.Timeout, fmt.Errorf("not done within %s", d.Timeout))
	defer cancel()
	db, err := d.run(ctx)
	if errors.Is(err, errWrongSum) && ctx.Err() == nil {
		// A new release between checksum and archive looks just like this.
		d.Log.Warn("geolite archive doesn't match its checksum, fetched again")
		db, err = d.run(ctx)
	}
	if err != nil {
		return Database{}, d.redact(fmt.Errorf("download GeoLite from %s: %w", d.source, err))
	}
	return db, nil
}

// download is one call of Download: the options with their defaults.
type download struct {
	Options
	url, sumURL *url.URL
	source      string // url without what may be secret in it
}

func (o Options) download() (*download, error) {
	if err := o.Credentials.validate(); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return nil, errors.New("no folder to download to")
	}
	d := &download{Options: o}
	d.URL = orElse(o.URL, DefaultURL)
	d.MaxBytes = orElse(o.MaxBytes, 256<<20)
	d.Timeout = orElse(o.Timeout, time.Hour)
	d.Stall = orElse(o.Stall, time.Minute)
	d.Pause = orElse(o.Pause, 2*time.Second)
	d.Log = orElse(o.Log, slog.New(slog.DiscardHandler))
	d.Progress = o.Progress
	if d.Progress == nil {
		d.Progress = func(int64, int64) {}
	}
	d.Limits.Thorough = true
	d.Client = safeClient(o.Client)
	return d, d.parseURL()
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (d *download) run(ctx context.Context) (Database, error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return Database{}, err
	}
	if err := state.Sweep(d.Dir); err != nil {
		return Database{}, err
	}
	sum, err := d.fetchSum(ctx)
	if err != nil {
		return Database{}, fmt.Errorf("checksum: %w", err)
	}
	here, have := d.have()
	if have.Sum == sum {
		return here, nil
	}
	archive, err := d.fetchArchive(ctx, sum, have)
	if errors.Is(err, errNotModified) {
		return here, nil
	}
	if err != nil {
		return Database{}, err
	}
	return d.install(archive)
}

// have returns the database of an earlier Download, if it is whole and still
// within the limits; else zero values.
func (d *download) have() (Database, meta) {
	m, err := readMeta(d.file(metaName))
	if err != nil || m.Source != d.source || m.Digest == "" {
		return Database{}, meta{}
	}
	limits := d.Limits
	limits.Thorough = false // it was when it came
	info, err := citydb.Check(d.file(databaseName), limits)
	if err != nil || info.Digest != m.Digest {
		return Database{}, meta{}
	}
	return Database{Path: d.file(databaseName), Info: info, Unchanged: true}, m
}

// install makes the database out of a complete archive the current one, and
// forgets the archive.
func (d *download) install(archive meta) (Database, error) {
	defer d.dropPart()
	info, err := extract(d.file(partName), d.file(databaseName), d.Limits)
	if err != nil {
		return Database{}, err
	}
	archive.Digest = info.Digest
	if err := writeMeta(d.file(metaName), archive); err != nil {
		return Database{}, err
	}
	d.Log.Info("geolite downloaded", "built", info.Built, "networks", info.Networks, "digest", info.Digest)
	return Database{Path: d.file(databaseName), Info: info}, nil
}

func (d *download) dropPart() {
	os.Remove(d.file(partName))
	os.Remove(d.file(partMetaName))
}

func (d *download) file(name string) string { return filepath.Join(d.Dir, name) }

func readMeta(path string) (m meta, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

func writeMeta(path string, m meta) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return state.WriteFile(path, append(b, '\n'), 0o600)
}

// FromFile checks a database that is already on this machine: an .mmdb, which
// stays where it is, or a .tar.gz as MaxMind packs it, whose database is
// written into dir. It goes by the content, not the name.
func FromFile(path, dir string, limits citydb.Limits) (Database, error) {
	limits.Thorough = true
	packed, err := isGzip(path)
	if err != nil {
		return Database{}, fmt.Errorf("read GeoLite file: %w", err)
	}
	if !packed {
		info, err := citydb.Check(path, limits)
		return Database{Path: path, Info: info}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Database{}, err
	}
	out := filepath.Join(dir, "file.mmdb")
	info, err := extract(path, out, limits)
	if err != nil {
		return Database{}, fmt.Errorf("read GeoLite file %s: %w", path, err)
	}
	return Database{Path: out, Info: info}, nil
}

func isGzip(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var b [2]byte
	n, err := f.Read(b[:])
	if err != nil && n == 0 {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return n == 2 && b == [2]byte{0x1f, 0x8b}, nil
}
