// Package compress encodes answers with zstd (RFC 8878), br (RFC 7932) or gzip
// (RFC 1952), where that benefits.
package compress

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is a content coding; the empty one is identity.
type Encoding string

// The codings, as Content-Encoding names them.
const (
	Identity Encoding = ""
	Zstd     Encoding = "zstd"
	Brotli   Encoding = "br"
	Gzip     Encoding = "gzip"
)

// Least is the length in octets below which nothing is gained.
const Least = 512

// Streamed is the order of preference for what is encoded while it is sent,
// Stored for what is encoded once.
var (
	Streamed = []Encoding{Zstd, Brotli, Gzip}
	Stored   = []Encoding{Brotli, Zstd, Gzip}
)

// Choose takes the coding of the highest weight in Accept-Encoding (RFC 9110
// section 12.5.3), and of equal ones the first of prefer. Where identity is
// weighted higher, or nothing fits, it is Identity.
func Choose(accept []string, prefer []Encoding) Encoding {
	if len(accept) == 0 {
		return Identity
	}
	best, bestWeight := Identity, weight(accept, "identity", 1)
	for _, e := range prefer {
		w := weight(accept, string(e), -1)
		if w > 0 && (w > bestWeight || best == Identity && w == bestWeight) {
			best, bestWeight = e, w
		}
	}
	return best
}

// weight is that of a coding in thousandths, or fallback where it isn't named.
// "*" stands for all that aren't, but identity.
func weight(accept []string, name string, fallback int) int {
	for _, list := range accept {
		for list != "" {
			var item string
			item, list, _ = strings.Cut(list, ",")
			coding, param, _ := strings.Cut(item, ";")
			coding = strings.TrimSpace(coding)
			if strings.EqualFold(coding, name) {
				return quality(param)
			}
			if coding == "*" && fallback < 0 {
				fallback = quality(param)
			}
		}
	}
	return fallback
}

// quality reads "q=0.5" as thousandths; what isn't one is 1.
func quality(param string) int {
	key, value, ok := strings.Cut(param, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(key), "q") {
		return 1000
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || q > 1 || !(q >= 0) {
		return 1000
	}
	return int(q * 1000)
}

// Benefits tells whether content of a type gets smaller: text, and the formats
// made of it. What is compressed already doesn't, and events must not wait.
func Benefits(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch {
	case kind == "text/event-stream":
		return false
	case strings.HasPrefix(kind, "text/"), strings.HasSuffix(kind, "+json"), strings.HasSuffix(kind, "+xml"):
		return true
	}
	return benefiting[kind]
}

var benefiting = map[string]bool{
	"application/json": true, "application/javascript": true, "application/xml": true, "application/wasm": true,
	"application/x-javascript": true, "application/manifest+json": true, "application/rtf": true,
	"application/vnd.ms-fontobject": true, "font/ttf": true, "font/otf": true, "application/x-font-ttf": true,
	"image/x-icon": true, "image/vnd.microsoft.icon": true, "image/bmp": true, "application/x-ndjson": true,
}

// Writer encodes what is written to it.
type Writer interface {
	io.WriteCloser
	Flush() error // what was written can be read then
	Reset(io.Writer)
}

// pools of encoders for streams: they are costly to make, and hold up to a
// megabyte each.
var pools = map[Encoding]*sync.Pool{
	Zstd: {New: func() any {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return w
	}},
	Brotli: {New: func() any { return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 3, LGWin: 18}) }},
	Gzip: {New: func() any {
		w, _ := gzip.NewWriterLevel(nil, 4)
		return w
	}},
}

// Get is a writer that encodes into w. It has to be closed, then Put back.
func Get(e Encoding, w io.Writer) Writer {
	enc := pools[e].Get().(Writer)
	enc.Reset(w)
	return enc
}

// Put gives a writer back.
func Put(e Encoding, w Writer) {
	w.Reset(io.Discard)
	pools[e].Put(w)
}

// Whole encodes what is kept and sent many times: slower and smaller. The same
// data gives the same octets with the same version of b8s.
func Whole(e Encoding, data []byte) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	switch e {
	case Zstd:
		enc, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(1<<20))
		if err != nil {
			return nil, err
		}
		w = enc
	case Brotli:
		w = brotli.NewWriterOptions(&out, brotli.WriterOptions{Quality: 7, LGWin: 20})
	default:
		enc, err := gzip.NewWriterLevel(&out, 8)
		if err != nil {
			return nil, err
		}
		w = enc
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
