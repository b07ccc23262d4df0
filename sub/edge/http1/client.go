package http1

import (
	"io"
	"net/http"
	"strconv"
)

// ReadResponse reads the head of a response, and puts its fields into h, which
// is empty. Where nothing came before the end, the error is io.EOF.
func (b *Reader) ReadResponse(h http.Header) (ResponseHead, error) {
	text, err := b.head(nil)
	if err != nil {
		return ResponseHead{}, err
	}
	return ParseResponse(text, h, b.limits)
}

// Begin makes a body, over another one or the zero value, of what follows in
// src.
func (b *Body) Begin(src *Reader, f Framing) { b.init(src, f) }

// AppendFields writes the fields of h but those of the connection.
func AppendFields(out []byte, h http.Header) []byte { return appendFields(out, h, hopFields[:]) }

// AppendField writes a field, unless its value can't be one.
func AppendField(out []byte, name, value string) []byte {
	if !all(value, isValue) {
		return out
	}
	out = append(out, name...)
	out = append(out, ": "...)
	out = append(out, value...)
	return append(out, "\r\n"...)
}

// IsTarget tells whether s can stand in a request line as it is.
func IsTarget(s string) bool { return s != "" && all(s, isTarget) }

// IsToken tells whether s is a token (RFC 9110 section 5.6.2).
func IsToken(s string) bool { return s != "" && all(s, isToken) }

// CopyChunked writes body to w in chunks, the trailers that there are once it
// has been read, and the last chunk. buf holds a chunk with its size, and is of
// 64 octets or more. before is called before each write. readErr is the error
// of the body, writeErr that of w.
func CopyChunked(w io.Writer, body io.Reader, trailer func() http.Header, buf []byte, before func()) (readErr, writeErr error) {
	const room = 12 // for the size
	for readErr == nil {
		var n int
		n, readErr = body.Read(buf[room : len(buf)-2])
		if n > 0 {
			size := strconv.AppendInt(make([]byte, 0, room), int64(n), 16)
			from := room - len(size) - 2
			copy(buf[from:], size)
			copy(buf[room-2:], "\r\n")
			copy(buf[room+n:], "\r\n")
			before()
			if _, writeErr = w.Write(buf[from : room+n+2]); writeErr != nil {
				return nil, writeErr
			}
		}
	}
	if readErr != io.EOF {
		return readErr, nil
	}
	end := append(buf[:0], "0\r\n"...)
	if trailer != nil {
		for name, values := range trailer() {
			for _, value := range values {
				end = AppendField(end, name, value)
			}
		}
	}
	before()
	_, writeErr = w.Write(append(end, "\r\n"...))
	return nil, writeErr
}
