package http1

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// hopFields are written by the connection itself.
var hopFields = [...]string{"Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Trailer"}

// appendFields writes the fields of h but those left out, and trailers.
func appendFields(out []byte, h http.Header, without []string) []byte {
fields:
	for key, values := range h {
		if key == "" || key[0] == 'T' && strings.HasPrefix(key, http.TrailerPrefix) {
			continue
		}
		for _, name := range without {
			if key == name {
				continue fields
			}
		}
		out = appendField(out, key, values)
	}
	return out
}

// appendField writes a field; a value that can't be one is left out.
func appendField(out []byte, key string, values []string) []byte {
	for _, value := range values {
		if !all(value, isValue) {
			continue
		}
		out = append(out, key...)
		out = append(out, ": "...)
		out = append(out, value...)
		out = append(out, "\r\n"...)
	}
	return out
}

func appendTrailers(out []byte, h http.Header) []byte {
	for key, values := range h {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok {
			out = appendField(out, name, values)
		}
	}
	return out
}

// appendStatus writes the status line.
func appendStatus(out []byte, status int) []byte {
	if status == http.StatusOK {
		return append(out, "HTTP/1.1 200 OK\r\n"...)
	}
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(status)...)
	return append(out, "\r\n"...)
}

// dated is a Date field and the second that it is of.
type dated struct {
	second int64
	line   []byte
}

var lastDate atomic.Pointer[dated]

// date is the Date field of now.
func date() []byte {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.line
	}
	d := &dated{second: now.Unix(), line: []byte("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n")}
	lastDate.Store(d)
	return d.line
}
