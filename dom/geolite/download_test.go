package geolite

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"b8s/citydb"
)

func TestDownload(t *testing.T) {
	m := (&maxmind{t: t, archive: cityArchive(t)}).start()
	dir := t.TempDir()
	var done, total int64
	o := m.options(dir)
	o.Progress = func(d, all int64) { done, total = d, all }
	db, err := Download(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if db.Info.Type != "GeoLite2-City" || db.Info.Networks != 1 || db.Unchanged {
		t.Errorf("got %+v", db)
	}
	if want := int64(len(m.archive)); done != want || total != want {
		t.Errorf("progress ended with %d of %d, want %d", done, total, want)
	}
	if _, err := citydb.Check(db.Path, o.Limits); err != nil {
		t.Error(err)
	}
	if got, want := names(t, dir), "city.json city.mmdb"; got != want {
		t.Errorf("left in the folder: %s, want %s", got, want)
	}
	m.seen()

	again, err := m.download(dir)
	if err != nil || !again.Unchanged || again.Info.Digest != db.Info.Digest {
		t.Errorf("second download: %+v, %v", again, err)
	}
	if got := m.seen(); got != "sum" {
		t.Errorf("second download asked for %q, want the checksum alone", got)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// A server whose archive was packed anew, but not modified, says so itself.
func TestNotModified(t *testing.T) {
	m := (&maxmind{t: t, archive: cityArchive(t)}).start()
	dir := t.TempDir()
	if _, err := m.download(dir); err != nil {
		t.Fatal(err)
	}
	m.sum = strings.Repeat("0", 64)
	db, err := m.download(dir)
	if err != nil || !db.Unchanged {
		t.Errorf("got %+v, %v", db, err)
	}
}

// A database that was damaged on disk is fetched again.
func TestDamagedOnDisk(t *testing.T) {
	m := (&maxmind{t: t, archive: cityArchive(t)}).start()
	dir := t.TempDir()
	db, err := m.download(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(db.Path, 100); err != nil {
		t.Fatal(err)
	}
	if db, err = m.download(dir); err != nil || db.Unchanged {
		t.Errorf("got %+v, %v", db, err)
	}
}

func TestCutTransferResumes(t *testing.T) {
	m := &maxmind{t: t, archive: cityArchive(t)}
	cuts := 0
	m.back = func(w http.ResponseWriter, r *http.Request) bool {
		if cuts++; cuts > 1 {
			return false
		}
		m.note("cut")
		cut(w, m.archive)
		return true
	}
	m.start()
	if _, err := m.download(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if got, want := m.seen(), fmt.Sprintf("sum; cut; archive bytes=%d-", len(m.archive)/2); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// What one call got, the next one need not get again: also after a restart.
func TestCutTransferResumesInNextCall(t *testing.T) {
	m := &maxmind{t: t, archive: cityArchive(t)}
	ctx, cancel := context.WithCancel(context.Background())
	first := true
	m.back = func(w http.ResponseWriter, r *http.Request) bool {
		if !first {
			return false
		}
		first = false
		cut(w, m.archive)
		return true
	}
	m.start()
	dir := t.TempDir()
	o := m.options(dir)
	o.Progress = func(done, _ int64) {
		if done == int64(len(m.archive)/2) {
			cancel()
		}
	}
	if _, err := Download(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it canceled", err)
	}
	m.seen()
	if _, err := m.download(dir); err != nil {
		t.Fatal(err)
	}
	if got, want := m.seen(), fmt.Sprintf("sum; archive bytes=%d-", len(m.archive)/2); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// A part of an archive that was replaced meanwhile is of no use.
func TestPartOfAnOlderArchive(t *testing.T) {
	m := (&maxmind{t: t, archive: cityArchive(t)}).start()
	dir := t.TempDir()
	write(t, filepath.Join(dir, partName), m.archive[:1000])
	if err := writeMeta(filepath.Join(dir, partMetaName), meta{Source: strings.Split(m.url, "?")[0], Sum: strings.Repeat("1", 64)}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.download(dir); err != nil {
		t.Fatal(err)
	}
	if got := m.seen(); got != "sum; archive whole" {
		t.Errorf("asked for %q", got)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServerThatCannotResume(t *testing.T) {
	m := &maxmind{t: t, archive: cityArchive(t)}
	n := 0
	m.back = func(w http.ResponseWriter, r *http.Request) bool {
		if n++; n == 1 {
			cut(w, m.archive)
		}
		w.Write(m.archive) // whole, whatever the Range
		return true
	}
	m.start()
	if _, err := m.download(t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestStalledTransfer(t *testing.T) {
	m := &maxmind{t: t, archive: cityArchive(t)}
	n := 0
	m.back = func(w http.ResponseWriter, r *http.Request) bool {
		if n++; n > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(m.archive)))
		w.Write(m.archive[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	m.start()
	o := m.options(t.TempDir())
	o.Stall = 100 * time.Millisecond
	if _, err := Download(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedArchives(t *testing.T) {
	city := cityFile(t, "GeoLite2-City", built)
	good := member{"d/GeoLite2-City.mmdb", tar.TypeReg, city}
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"not a city database": {pack(t, member{"d/a.mmdb", tar.TypeReg, cityFile(t, "GeoLite2-ASN", built)}), "not a city database"},
		"too old":             {pack(t, member{"d/a.mmdb", tar.TypeReg, cityFile(t, "GeoLite2-City", built.AddDate(-11, 0, 0))}), "days ago"},
		"from the future":     {pack(t, member{"d/a.mmdb", tar.TypeReg, cityFile(t, "GeoLite2-City", built.AddDate(1, 0, 0))}), "clock"},
		"no database":         {pack(t, member{"README", tar.TypeReg, []byte("x")}), "no .mmdb file"},
		"two databases":       {pack(t, good, good), "two databases"},
		"a link only":         {pack(t, member{"d/a.mmdb", tar.TypeSymlink, []byte("/etc/passwd")}), "no .mmdb file"},
		"truncated gzip":      {pack(t, good)[:700], "unexpected EOF"},
		"not gzip":            {city, "gzip"},
		"truncated database":  {pack(t, member{"d/a.mmdb", tar.TypeReg, city[:len(city)/2]}), "not a MaxMind DB"},
		"empty":               {[]byte{}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			m := (&maxmind{t: t, archive: c.archive}).start()
			dir := t.TempDir()
			write(t, filepath.Join(dir, databaseName), []byte("the one before"))
			_, err := m.download(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, databaseName)); string(b) != "the one before" {
				t.Error("the database that was there is gone")
			}
			if got := names(t, dir); got != databaseName {
				t.Errorf("left in the folder: %s", got)
			}
		})
	}
}

func TestWrongAnswers(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, "<!DOCTYPE html><html><body>Please log in to the hotel</body></html>")
		return true
	}
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			return true
		}
	}
	for name, c := range map[string]struct {
		m    *maxmind
		want string
	}{
		"bad checksum":           {&maxmind{sum: strings.Repeat("ab", 32)}, "doesn't match its checksum"},
		"web page for checksum":  {&maxmind{front: page}, "a web page"},
		"web page for archive":   {&maxmind{back: page}, "a web page"},
		"key refused":            {&maxmind{front: status(401)}, "licence key is wrong"},
		"no right":               {&maxmind{front: status(403)}, "accept the GeoLite licence"},
		"no such edition":        {&maxmind{front: status(404)}, "check the URL"},
		"daily limit":            {&maxmind{front: status(429, "Retry-After", "7200")}, "try again in 2h0m0s"},
		"daily limit, no time":   {&maxmind{back: status(429)}, "tomorrow"},
		"server down":            {&maxmind{front: status(503)}, "given up after 5 attempts: the server answered 503"},
		"redirect without end":   {&maxmind{front: status(302, "Location", "/x")}, "redirected ten times"},
		"redirect back with key": {&maxmind{front: status(302, "Location", "http://127.0.0.1:1/?license_key="+key)}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.t, m.archive = t, cityArchive(t)
			if _, err := m.start().download(t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	m := (&maxmind{t: t, archive: cityArchive(t)}).start()
	o := m.options(t.TempDir())
	o.MaxBytes = 100 << 10
	if _, err := Download(context.Background(), o); err == nil || !strings.Contains(err.Error(), "more than the limit") {
		t.Errorf("large archive: got %v", err)
	}
	o = m.options(t.TempDir())
	o.Timeout = time.Nanosecond
	if _, err := Download(context.Background(), o); err == nil || !strings.Contains(err.Error(), "not done within") {
		t.Errorf("no time: got %v", err)
	}
}

// A few kilobytes that unpack to more than is allowed.
func TestBomb(t *testing.T) {
	var sink countingWriter
	const limit = 20 << 20
	bomb := pack(t, member{"d/a.mmdb", tar.TypeReg, make([]byte, limit+1)})
	if err := unpack(bytes.NewReader(bomb), &sink, limit); err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("got %v", err)
	}
	if sink > limit {
		t.Errorf("%d bytes were written", sink)
	}
}

type countingWriter int64

func (c *countingWriter) Write(b []byte) (int, error) {
	*c += countingWriter(len(b))
	return len(b), nil
}

// Names in an archive lead nowhere.
func TestPathTraversal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inner")
	archive := filepath.Join(t.TempDir(), "a.tar.gz")
	write(t, archive, pack(t,
		member{"../../../escaped.txt", tar.TypeReg, []byte("x")},
		member{"../../../escaped.mmdb", tar.TypeReg, cityFile(t, "GeoLite2-City", built)}))
	db, err := FromFile(archive, dir, citydb.Limits{Now: built})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(db.Path) != dir || names(t, filepath.Dir(dir)) != "inner" {
		t.Errorf("database at %s, beside the folder: %s", db.Path, names(t, filepath.Dir(dir)))
	}
}

func TestFromFile(t *testing.T) {
	dir := t.TempDir()
	plain, packed, other := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	write(t, plain, cityFile(t, "GeoLite2-City", built))
	write(t, packed, cityArchive(t))
	write(t, other, []byte("hello"))
	for path, want := range map[string]string{plain: plain, packed: filepath.Join(dir, "out", "file.mmdb")} {
		db, err := FromFile(path, filepath.Join(dir, "out"), citydb.Limits{Now: built})
		if err != nil || db.Path != want || db.Info.Networks != 1 {
			t.Errorf("FromFile(%s) = %+v, %v", path, db, err)
		}
	}
	for _, path := range []string{other, filepath.Join(dir, "missing"), dir} {
		if db, err := FromFile(path, dir, citydb.Limits{}); err == nil {
			t.Errorf("FromFile(%s) = %+v, want an error", path, db)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	good := Options{Credentials: Credentials{"42", key}, Dir: t.TempDir()}
	for name, change := range map[string]func(*Options){
		"plain http":     func(o *Options) { o.URL = "http://download.example.com/x" },
		"no URL":         func(o *Options) { o.URL = "download.example.com" },
		"no key":         func(o *Options) { o.LicenceKey = "" },
		"key of a file":  func(o *Options) { o.LicenceKey = key + "\n" },
		"no folder":      func(o *Options) { o.Dir = "" },
		"other protocol": func(o *Options) { o.URL = "ftp://127.0.0.1/" + key },
	} {
		o := good
		change(&o)
		if _, err := Download(context.Background(), o); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The key is in no log line either, not even on debug.
func TestLogs(t *testing.T) {
	m := &maxmind{t: t, archive: cityArchive(t)}
	n := 0
	m.back = func(w http.ResponseWriter, r *http.Request) bool {
		if n++; n == 1 {
			cut(w, m.archive)
		}
		return false
	}
	m.start()
	var log bytes.Buffer
	o := m.options(t.TempDir())
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := Download(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o.Log.Info("options", "all", o, "credentials", o.Credentials)
	fmt.Fprintf(&log, "%v %+v %#v", o, o, o.Credentials)
	if text := log.String(); !strings.Contains(text, "interrupted") || strings.Contains(text, key) || strings.Contains(text, "signedsecret") {
		t.Errorf("log: %s", text)
	}
}
