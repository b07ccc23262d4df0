package geolite

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/citydb"
	"b8s/citydb/citymake"
	"b8s/place"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "s3cretLicenceKey"

var built = time.Date(2026, 11, 17, 0, 0, 0, 0, time.UTC)

func cityFile(t testing.TB, kind string, built time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	err := citymake.MakeType(&b, kind, []citymake.Network{
		{Prefix: netip.MustParsePrefix("203.0.113.0/24"), City: "Sydney", Country: "Australia", Point: place.Point{Lat: -33.87, Lon: 151.21}},
	}, built)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type member struct {
	name string
	kind byte
	data []byte
}

func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Mode: 0o644}
		if m.kind == tar.TypeReg {
			h.Size = int64(len(m.data))
		} else {
			h.Linkname = string(m.data)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if m.kind == tar.TypeReg {
			if _, err := w.Write(m.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise makes an archive long enough to be cut.
func noise() []byte {
	b := make([]byte, 600<<10)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func cityArchive(t testing.TB) []byte {
	return pack(t,
		member{"GeoLite2-City_20261117/COPYRIGHT.txt", tar.TypeReg, noise()},
		member{"GeoLite2-City_20261117/GeoLite2-City.mmdb", tar.TypeReg, cityFile(t, "GeoLite2-City", built)})
}

// maxmind plays MaxMind's server: it wants the credentials, and redirects the
// archive to a storage host, which must not see them.
type maxmind struct {
	t        *testing.T
	archive  []byte
	modified time.Time
	sum      string                                            // empty: the true one
	front    func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	back     func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	requests []string // method of getting, in order
	url      string
}

func (m *maxmind) start() *maxmind {
	storage := httptest.NewServer(http.HandlerFunc(m.storage))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.permalink(w, r, storage.URL) }))
	m.t.Cleanup(storage.Close)
	m.t.Cleanup(server.Close)
	m.url = server.URL + "/geoip/databases/GeoLite2-City/download?suffix=tar.gz"
	if m.modified.IsZero() {
		m.modified = built
	}
	return m
}

func (m *maxmind) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, fmt.Sprintf(format, args...))
}

// seen returns the requests since the last call.
func (m *maxmind) seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := strings.Join(m.requests, "; ")
	m.requests = nil
	return s
}

func (m *maxmind) permalink(w http.ResponseWriter, r *http.Request, storage string) {
	if user, password, _ := r.BasicAuth(); user != "42" || password != key {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if m.front != nil && m.front(w, r) {
		return
	}
	if r.URL.Query().Get("suffix") == "tar.gz.sha256" {
		m.note("sum")
		sum := m.sum
		if sum == "" {
			sum = fmt.Sprintf("%x", sha256.Sum256(m.archive))
		}
		fmt.Fprintf(w, "%s  GeoLite2-City_20261117.tar.gz\n", sum)
		return
	}
	http.Redirect(w, r, storage+"/bucket/file?signature=signedsecret", http.StatusFound)
}

func (m *maxmind) storage(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Header {
		if text := strings.Join(values, " "); name == "Authorization" || strings.Contains(text, key) {
			m.t.Errorf("the storage host was sent %s: %s", name, text)
		}
	}
	if m.back != nil && m.back(w, r) {
		return
	}
	m.note("archive %s", orElse(r.Header.Get("Range"), "whole"))
	http.ServeContent(w, r, "", m.modified, bytes.NewReader(m.archive))
}

func (m *maxmind) options(dir string) Options {
	return Options{
		Credentials: Credentials{"42", key}, URL: m.url, Dir: dir, Pause: time.Millisecond, Stall: 5 * time.Second,
		Limits: citydb.Limits{Now: built.Add(24 * time.Hour)},
	}
}

// download calls Download, and holds its error against leaks.
func (m *maxmind) download(dir string) (Database, error) {
	m.t.Helper()
	db, err := Download(context.Background(), m.options(dir))
	if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "signedsecret")) {
		m.t.Errorf("the error tells a secret: %v", err)
	}
	return db, err
}

// cut sends the head of the whole answer and half of what is asked for.
func cut(w http.ResponseWriter, archive []byte) {
	w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
	w.Header().Set("Last-Modified", built.Format(http.TimeFormat))
	w.WriteHeader(http.StatusOK)
	io.Copy(w, bytes.NewReader(archive[:len(archive)/2]))
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}
