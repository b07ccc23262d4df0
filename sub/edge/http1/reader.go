package http1

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// bufferSize is what a connection begins with; a longer head makes it grow to
// the limit.
const bufferSize = 4 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Reader reads messages from a connection. It takes a buffer when it first
// needs one, and gives it back when it is empty and told to Rest.
type Reader struct {
	src    io.Reader
	limits Limits
	buf    []byte
	r, w   int
}

// NewReader reads from src.
func NewReader(src io.Reader, limits Limits) *Reader {
	return &Reader{src: src, limits: limits.withDefaults()}
}

// Buffered is how many octets have been read ahead.
func (b *Reader) Buffered() int { return b.w - b.r }

// Take returns the octets read ahead, and forgets them.
func (b *Reader) Take() []byte {
	out := append([]byte(nil), b.buf[b.r:b.w]...)
	b.r, b.w = 0, 0
	return out
}

// Rest gives an empty buffer back.
func (b *Reader) Rest() {
	if b.r != b.w || b.buf == nil {
		return
	}
	if len(b.buf) == bufferSize {
		buffers.Put((*[bufferSize]byte)(b.buf))
	}
	b.buf, b.r, b.w = nil, 0, 0
}

// errFull is given by fill when there is no room.
var errFull = errors.New("buffer is full")

// fill reads once, behind what is there.
func (b *Reader) fill() error {
	switch {
	case b.buf == nil:
		b.buf = buffers.Get().(*[bufferSize]byte)[:]
	case b.r == b.w:
		b.r, b.w = 0, 0
	case b.w == len(b.buf) && b.r > 0:
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
	case b.w == len(b.buf):
		return errFull
	}
	n, err := b.src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// grow makes a longer buffer, up to the limit of a head.
func (b *Reader) grow() bool {
	if len(b.buf) > b.limits.Head {
		return false
	}
	longer := make([]byte, min(2*len(b.buf), b.limits.Head+1))
	b.w = copy(longer, b.buf[b.r:b.w])
	b.r, b.buf = 0, longer
	return true
}

// head reads up to the end of a head, and returns its text. begun is called
// once, when its first octets are there and more are wanted. io.EOF means that
// there was nothing at all.
func (b *Reader) head(begun func()) (string, error) {
	seen, blank := 0, false
	for {
		if b.w > b.r {
			end, next, err := endOfHead(b.buf[b.r:b.w], seen)
			if err != nil {
				return "", err
			}
			if end > b.limits.Head {
				return "", errHeadSize
			}
			if end == 2 && !blank { // an empty line before a request is left out (RFC 9112 section 2.2)
				blank, seen = true, 0
				b.r += end
				continue
			}
			if end > 0 {
				text := string(b.buf[b.r : b.r+end])
				b.r += end
				return text, nil
			}
			seen = next
			if begun != nil {
				begun()
				begun = nil
			}
		}
		if err := b.fillHead(); err != nil {
			return "", err
		}
	}
}

// fillHead reads more of a head.
func (b *Reader) fillHead() error {
	err := b.fill()
	if err == errFull {
		if b.grow() {
			err = b.fill()
		} else if strings.IndexByte(string(b.buf[b.r:b.w]), '\n') < 0 {
			return errTargetSize
		} else {
			return errHeadSize
		}
	}
	if err == io.EOF && b.w > b.r {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line reads a line of at most limit octets, and returns it without CRLF. It is
// valid until the next read.
func (b *Reader) line(limit int) ([]byte, error) {
	for seen := b.r; ; {
		for i := seen; i < b.w; i++ {
			if b.buf[i] != '\n' {
				continue
			}
			if i == b.r || b.buf[i-1] != '\r' {
				return nil, errLineEnd
			}
			line := b.buf[b.r : i-1]
			if len(line) > limit {
				return nil, errChunk
			}
			b.r = i + 1
			return line, nil
		}
		if b.w-b.r > limit {
			return nil, errChunk
		}
		from := b.w - b.r
		if err := b.fill(); err == errFull {
			return nil, errChunk
		} else if err != nil {
			return nil, unexpected(err)
		}
		seen = b.r + from
	}
}

// read gives octets of a body: what was read ahead first.
func (b *Reader) read(p []byte) (int, error) {
	if b.r == b.w {
		if len(p) >= bufferSize {
			return b.src.Read(p)
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}

// unexpected is the error of a stream that ends too early.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// trailers reads the fields behind the last chunk, to the empty line.
func (b *Reader) trailers() (http.Header, error) {
	var text strings.Builder
	for lines := 0; ; lines++ {
		line, err := b.line(b.limits.Head)
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			break
		}
		if text.Len()+len(line) > b.limits.Head || lines >= b.limits.Fields {
			return nil, errTrailer
		}
		text.Write(line)
		text.WriteString("\r\n")
	}
	if text.Len() == 0 {
		return nil, nil
	}
	h := http.Header{}
	if parseFields(text.String(), h, b.limits.Fields) != nil {
		return nil, errTrailer
	}
	for _, name := range notInTrailers {
		delete(h, name)
	}
	return h, nil
}

// notInTrailers are fields that would change how a message is read or routed
// (RFC 9110 section 6.5.1); they are dropped.
var notInTrailers = []string{"Transfer-Encoding", "Content-Length", "Host", "Connection", "Trailer", "Te", "Upgrade",
	"Expect", "Content-Encoding", "Content-Type", "Content-Range", "Authorization", "Cookie", "Set-Cookie",
	"Cache-Control", "Age", "Date", "Location", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
