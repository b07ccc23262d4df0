package static

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func folder(files fs.FS) *Folder {
	return &Folder{FS: files, Cache: NewCache(1<<20, 1<<20), Digest: "d", Missing: http.NotFoundHandler()}
}

func get(f *Folder, path string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path = path
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestPathsStayInTheFolder(t *testing.T) {
	root := t.TempDir()
	os.WriteFile(filepath.Join(root, "secret"), []byte("secret"), 0o600)
	os.MkdirAll(filepath.Join(root, "www", ".well-known"), 0o700)
	os.WriteFile(filepath.Join(root, "www", ".well-known", "x"), []byte("public"), 0o600)
	os.WriteFile(filepath.Join(root, "www", ".env"), []byte("secret"), 0o600)
	f := folder(os.DirFS(filepath.Join(root, "www")))
	for _, path := range []string{"/../secret", "/..", "//secret", "/a/../../secret", "/.env", "/.well-known/../.env", "/.well-known/.x", `/..\secret`, "/\x00", "", "/.", "/./.env"} {
		if w := get(f, path); strings.Contains(w.Body.String(), "secret") || w.Code != 404 {
			t.Errorf("%q: %d %q", path, w.Code, w.Body)
		}
	}
	if w := get(f, "/.well-known/x"); w.Body.String() != "public" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestLargeFiles(t *testing.T) {
	dir := t.TempDir()
	big := strings.Repeat("0123456789", wholeSize/5)
	os.WriteFile(filepath.Join(dir, "big.bin"), []byte(big), 0o600)
	os.WriteFile(filepath.Join(dir, "big.txt"), []byte(big), 0o600)
	f := folder(os.DirFS(dir))
	if w := get(f, "/big.bin"); w.Body.String() != big || w.Header().Get("Etag") != etagOf([]byte(big)) {
		t.Errorf("%d octets, etag %q", w.Body.Len(), w.Header().Get("Etag"))
	}
	if w := get(f, "/big.bin", "Range", "bytes=-3"); w.Code != 206 || w.Body.String() != "789" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := get(f, "/big.txt", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > len(big)/10 {
		t.Errorf("%d octets, %v", w.Body.Len(), w.Header())
	}
}

func TestCacheIsBounded(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 100 {
		files[fmt.Sprintf("%d.txt", i)] = &fstest.MapFile{Data: []byte(strings.Repeat(fmt.Sprint(i), 10_000))}
	}
	f := folder(files)
	f.Cache = NewCache(200_000, 5_000)
	for range 2 {
		for i := range 100 {
			if w := get(f, fmt.Sprintf("/%d.txt", i), "Accept-Encoding", "br"); w.Header().Get("Content-Encoding") != "br" {
				t.Fatalf("%d: %v", i, w.Header())
			}
			get(f, fmt.Sprintf("/missing%d", i))
		}
	}
	if held, variants := f.Cache.Size(); held > 200_000 || variants > 5_000 || held == 0 || variants == 0 {
		t.Errorf("holds %d and %d octets", held, variants)
	}
	f.Cache.Drop("d")
	if held, variants := f.Cache.Size(); held != 0 || variants != 0 {
		t.Errorf("holds %d and %d octets once dropped", held, variants)
	}
}

func TestSinglePage(t *testing.T) {
	f := folder(fstest.MapFS{"index.html": {Data: []byte("app")}})
	f.NotFound, f.SinglePage = "index.html", true
	if w := get(f, "/deep/link"); w.Code != 200 || w.Body.String() != "app" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func BenchmarkSmallFile(b *testing.B) {
	f := folder(fstest.MapFS{"a.bin": {Data: make([]byte, 1024)}})
	r := httptest.NewRequest("GET", "/a.bin", nil)
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		f.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
