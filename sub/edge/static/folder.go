// Package static serves a folder of files that never change.
//
// Each answer carries a strong ETag, the digest of the very octets that it is
// made of, so that it is the same on every server that holds the folder, and a
// Range means the same octets on all of them. Small files and compressed
// variants are kept in bounded memory. A path never leaves the folder, and
// names that begin with a dot are not served, but for .well-known.
package static

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"b8s/sub/edge/compress"
)

// Folder is an http.Handler for GET and HEAD.
type Folder struct {
	FS fs.FS
	// NotFound is the file for what isn't there; empty: 404.html. SinglePage
	// answers with it as if it had been asked for.
	NotFound   string
	SinglePage bool
	// Plain sends nothing compressed.
	Plain bool
	// Cache is shared by all folders that have it.
	Cache *Cache
	// Digest tells folders apart in the cache.
	Digest string
	// Missing answers where there is no NotFound file.
	Missing http.Handler
}

// wholeSize is the size up to which a file is kept in memory; compressSize up
// to which it is compressed.
const (
	wholeSize    = 256 << 10
	compressSize = 4 << 20
)

// ServeHTTP implements http.Handler. The path is that of r.URL.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	name, ok := clean(r.URL.Path)
	if !ok {
		f.missing(w, r)
		return
	}
	file, err := f.file(name)
	switch {
	case errors.Is(err, errFolder):
		redirect(w, r)
	case err != nil:
		f.missing(w, r)
	default:
		f.serve(w, r, file, http.StatusOK)
	}
}

// clean makes a name in the folder of a path.
func clean(p string) (string, bool) {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if strings.ContainsAny(p, "\\\x00") || strings.Contains(p, "//") {
		return "", false
	}
	name := p[1:]
	if name == "" || name[len(name)-1] == '/' {
		name += "index.html"
	}
	if !fs.ValidPath(name) {
		return "", false
	}
	if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		if first, _, _ := strings.Cut(name, "/"); first != ".well-known" || strings.Contains(name[1:], "/.") {
			return "", false
		}
	}
	return name, true
}

// redirect goes to the folder's page: relative links in it need the slash.
func redirect(w http.ResponseWriter, r *http.Request) {
	target := path.Base(r.URL.EscapedPath()) + "/"
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", "./"+target)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusMovedPermanently)
}

// missing answers for what isn't there.
func (f *Folder) missing(w http.ResponseWriter, r *http.Request) {
	name := f.NotFound
	if name == "" {
		name = "404.html"
	}
	file, err := f.file(name)
	switch {
	case err != nil:
		f.Missing.ServeHTTP(w, r)
	case f.SinglePage:
		f.serve(w, r, file, http.StatusOK)
	default:
		f.serve(w, r, file, http.StatusNotFound)
	}
}

// file is what is known of a file: all of it, if it is small.
type file struct {
	name string
	kind string // Content-Type
	size int64
	etag string
	data []byte // nil: read it from the folder

	// fields, as they are sent
	kinds, etags, lengths, encodings []string
}

var errFolder = errors.New("a folder")

// file reads a file, or finds it in the cache.
func (f *Folder) file(name string) (*file, error) {
	return f.Cache.files.get(key{f.Digest, name, compress.Identity}, func() (*file, error) { return f.read(name) })
}

func (f *Folder) read(name string) (*file, error) {
	opened, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	info, err := opened.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errFolder
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", name)
	}
	got := &file{name: name, size: info.Size(), kind: kindOf(name)}
	if got.size <= wholeSize {
		if got.data, err = io.ReadAll(io.LimitReader(opened, wholeSize+1)); err != nil {
			return nil, err
		}
		got.size = int64(len(got.data))
		got.etag = etagOf(got.data)
	} else {
		sum := sha256.New()
		if got.size, err = io.Copy(sum, opened); err != nil {
			return nil, err
		}
		got.etag = etag(sum.Sum(nil))
	}
	return got.withFields(compress.Identity), nil
}

func (f *file) withFields(e compress.Encoding) *file {
	f.kinds, f.etags, f.lengths = []string{f.kind}, []string{f.etag}, []string{strconv.FormatInt(f.size, 10)}
	if e != compress.Identity {
		f.encodings = []string{string(e)}
	}
	return f
}

func etagOf(data []byte) string {
	sum := sha256.Sum256(data)
	return etag(sum[:])
}

// etag is a strong entity tag of the first 144 bits of a digest.
func etag(sum []byte) string { return `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"` }

// variant is a file as the client wants it encoded, or the file itself.
func (f *Folder) variant(of *file, r *http.Request) *file {
	if f.Plain || of.size < compress.Least || of.size > compressSize || !compress.Benefits(of.kind) {
		return of
	}
	e := compress.Choose(r.Header["Accept-Encoding"], compress.Stored)
	if e == compress.Identity {
		return of
	}
	got, err := f.Cache.variants.get(key{f.Digest, of.name, e}, func() (*file, error) { return f.encode(of, e) })
	if err != nil || got.data == nil {
		return of
	}
	return got
}

// encode makes a variant. One that is not smaller has no data.
func (f *Folder) encode(of *file, e compress.Encoding) (*file, error) {
	data := of.data
	if data == nil {
		var err error
		if data, err = fs.ReadFile(f.FS, of.name); err != nil {
			return nil, err
		}
	}
	small, err := compress.Whole(e, data)
	if err != nil {
		return nil, err
	}
	if len(small) >= len(data) {
		return &file{name: of.name}, nil
	}
	got := &file{name: of.name, kind: of.kind, size: int64(len(small)), etag: etagOf(small), data: small}
	return got.withFields(e), nil
}

var (
	varies = []string{"Accept-Encoding"}
	ranges = []string{"bytes"}
)

// serve answers with a file.
func (f *Folder) serve(w http.ResponseWriter, r *http.Request, of *file, status int) {
	h := w.Header()
	if !f.Plain && of.size >= compress.Least && of.size <= compressSize && compress.Benefits(of.kind) {
		h["Vary"] = varies
	}
	if r.Header["Range"] == nil { // a Range is of the file itself
		of = f.variant(of, r)
	}
	h["Content-Type"], h["Etag"] = of.kinds, of.etags
	if of.encodings != nil {
		h["Content-Encoding"] = of.encodings
	}
	if status == http.StatusOK && conditional(r.Header) {
		f.serveContent(w, r, of)
		return
	}
	if status == http.StatusOK {
		h["Accept-Ranges"] = ranges
	}
	h["Content-Length"] = of.lengths
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if of.data != nil {
		w.Write(of.data)
		return
	}
	if opened, err := f.FS.Open(of.name); err == nil {
		defer opened.Close()
		buf := copyBuffers.Get().(*[64 << 10]byte)
		defer copyBuffers.Put(buf)
		io.CopyBuffer(onlyWriter{w}, onlyReader{opened}, buf[:])
	}
}

// onlyWriter and onlyReader hide what io.CopyBuffer would take in place of the
// buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// conditional tells whether the answer hangs on more than the file.
func conditional(h http.Header) bool {
	return h["Range"] != nil || h["If-None-Match"] != nil || h["If-Match"] != nil ||
		h["If-Modified-Since"] != nil || h["If-Unmodified-Since"] != nil
}

// serveContent leaves preconditions and ranges (RFC 9110 sections 13 and 14) to
// net/http. There are no dates: those of files differ from server to server.
func (f *Folder) serveContent(w http.ResponseWriter, r *http.Request, of *file) {
	if of.data != nil {
		http.ServeContent(w, r, of.name, time.Time{}, bytes.NewReader(of.data))
		return
	}
	opened, err := f.FS.Open(of.name)
	if err != nil {
		f.Missing.ServeHTTP(w, r)
		return
	}
	defer opened.Close()
	seeker, ok := opened.(io.ReadSeeker)
	if !ok {
		f.Missing.ServeHTTP(w, r)
		return
	}
	http.ServeContent(w, r, of.name, time.Time{}, seeker)
}
