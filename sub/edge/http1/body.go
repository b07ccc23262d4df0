package http1

import (
	"io"
	"net/http"
)

// Body is the body of the message that a Reader has read the head of. It is
// not for concurrent use.
type Body struct {
	src     *Reader
	chunked bool
	left    int64 // of the body, or of the chunk; -1: to the end of the connection
	err     error // io.EOF at its end
	trailer http.Header

	// before is called before each read from the connection; its error ends the
	// body.
	before func() error
	// after is called once, at the body's end.
	after func()
}

// init makes a body that has not been read.
func (b *Body) init(src *Reader, f Framing) {
	*b = Body{src: src, chunked: f.Chunked, left: f.Length}
	if f.Chunked {
		b.left = 0
	} else if f.Length == 0 {
		b.err = io.EOF
	}
}

// Done tells whether all of it has been read.
func (b *Body) Done() bool { return b.err == io.EOF }

// Err is what went wrong; nil before and at the end.
func (b *Body) Err() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// Trailer is the fields behind a chunked body, once it is Done.
func (b *Body) Trailer() http.Header { return b.trailer }

// Read implements io.Reader. A body that ends before its length is
// io.ErrUnexpectedEOF.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.before != nil && b.src.Buffered() == 0 {
		if b.err = b.before(); b.err != nil {
			return 0, b.err
		}
	}
	if b.chunked && b.left == 0 {
		if err := b.nextChunk(); err != nil {
			return 0, b.end(err)
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.read(p)
	if b.left < 0 {
		if err != nil {
			err = b.end(err)
		}
		return n, err
	}
	b.left -= int64(n)
	if err != nil && b.left > 0 {
		return n, b.end(unexpected(err))
	}
	if b.left == 0 {
		if b.chunked {
			err = b.endChunk()
		} else {
			err = b.end(io.EOF)
		}
	}
	return n, err
}

// end keeps the error, and tells of it.
func (b *Body) end(err error) error {
	b.err = err
	if err == io.EOF && b.after != nil {
		b.after()
	}
	return err
}

// maxChunkLine bounds a chunk's size and extensions, which are not heeded.
const maxChunkLine = 256

// nextChunk reads a chunk's size; the last one's trailers too, and gives
// io.EOF.
func (b *Body) nextChunk() error {
	line, err := b.src.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, ok := parseChunkSize(line)
	if !ok {
		return errChunk
	}
	if size > 0 {
		b.left = size
		return nil
	}
	if b.trailer, err = b.src.trailers(); err != nil {
		return err
	}
	return io.EOF
}

// endChunk reads the line end behind a chunk's data, and the next chunk's size
// if that has come already, so that the end of a body is seen with its last
// octets.
func (b *Body) endChunk() error {
	line, err := b.src.line(1)
	if err != nil {
		return b.end(err)
	}
	if len(line) != 0 {
		return b.end(errChunk)
	}
	if b.src.endOfBody() {
		b.src.r += len(lastChunk)
		return b.end(io.EOF)
	}
	return nil
}

const lastChunk = "0\r\n\r\n"

// endOfBody tells whether a last chunk without trailers has been read ahead.
func (b *Reader) endOfBody() bool {
	return b.w-b.r >= len(lastChunk) && string(b.buf[b.r:b.r+len(lastChunk)]) == lastChunk
}

// parseChunkSize reads 1 to 15 hexadecimal digits, then nothing or an extension
// behind a semicolon.
func parseChunkSize(line []byte) (int64, bool) {
	var n int64
	for i, c := range line {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case 'A' <= c && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		case c == ';' && i > 0:
			return n, all(string(line[i:]), isValue)
		default:
			return 0, false
		}
		if i >= 15 {
			return 0, false
		}
	}
	return n, len(line) > 0
}
