package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// recordSize is the most that a TLS record holds: answers leave in as many
// octets.
const recordSize = 16 << 10

var records = sync.Pool{New: func() any { return new([recordSize]byte) }}

// response is the answer to a request, an http.ResponseWriter with Flush,
// Hijack and deadlines. Trailers are fields whose key begins with
// http.TrailerPrefix. An answer of unknown length is chunked.
type response struct {
	c      *Conn
	header http.Header

	mu      sync.Mutex // of out, against the 100 that a body's reader sends
	room    *[recordSize]byte
	out     []byte // to be written; in room
	wrote   bool   // the head is in out
	status  int
	chunked bool
	noBody  bool
	chunkAt int   // in out, of the open chunk; -1: none is
	length  int64 // of the body; -1: unknown
	written int64
	close   bool
	taken   bool // by Hijack
	err     error
}

func (w *response) init(c *Conn) { w.c, w.header = c, http.Header{} }

// begin makes it ready for a request.
func (w *response) begin() {
	clear(w.header)
	w.wrote, w.status, w.chunked, w.noBody, w.chunkAt = false, 0, false, false, -1
	w.length, w.written, w.close, w.err = -1, 0, w.c.head.Close, nil
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. 1xx other than 101 leave at once.
func (w *response) WriteHeader(status int) {
	switch {
	case w.wrote || w.status != 0:
	case status == http.StatusSwitchingProtocols:
		w.status = status
		w.Flush()
	case status < 200:
		w.inform(status)
	default:
		w.status = status
	}
}

// inform sends an interim answer; HTTP/1.0 has none.
func (w *response) inform(status int) {
	if w.c.head.Minor == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take()
	w.out = appendStatus(w.out, status)
	w.out = appendFields(w.out, w.header, nil)
	w.out = append(w.out, "\r\n"...)
	w.flush()
}

// informContinue sends 100 if there is no answer yet.
func (w *response) informContinue() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrote {
		return nil
	}
	w.take()
	w.out = append(w.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
	return w.flush()
}

// take sees to it that out has room.
func (w *response) take() {
	if w.room == nil {
		w.room = records.Get().(*[recordSize]byte)
		w.out = w.room[:0]
	}
}

// writeHead puts the head into out. w.mu is held.
func (w *response) writeHead() {
	if w.wrote {
		return
	}
	w.wrote = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.take()
	w.frame()
	w.out = appendStatus(w.out, w.status)
	if _, ok := w.header["Date"]; !ok {
		w.out = append(w.out, date()...)
	}
	w.out = appendFields(w.out, w.header, hopFields[:])
	switch {
	case w.status == http.StatusSwitchingProtocols:
		w.out = appendFields(w.out, http.Header{"Connection": w.header["Connection"], "Upgrade": w.header["Upgrade"]}, nil)
	case w.chunked:
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	case w.length >= 0 && w.status != http.StatusNoContent:
		w.out = append(w.out, "Content-Length: "...)
		w.out = strconv.AppendInt(w.out, w.length, 10)
		w.out = append(w.out, "\r\n"...)
	}
	switch {
	case w.close:
		w.out = append(w.out, "Connection: close\r\n"...)
	case w.c.head.Minor == 0:
		w.out = append(w.out, "Connection: keep-alive\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// frame decides how the body ends.
func (w *response) frame() {
	if v := w.header["Content-Length"]; len(v) == 1 {
		if n, ok := parseDecimal(v[0]); ok {
			w.length = n
		}
	}
	if w.c.state.Load() == stateClosed || HasToken(w.header["Connection"], "close") || w.c.body.broken.Load() {
		w.close = true
	}
	switch {
	case w.status == http.StatusSwitchingProtocols:
		w.noBody, w.close = true, false
	case !HasBody(w.c.head.Method, w.status):
		w.noBody = true
	case w.length >= 0:
	case w.c.head.Minor == 1:
		w.chunked = true
	default:
		w.close = true // the body ends with the connection
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHead()
	if w.err != nil {
		return 0, w.err
	}
	if w.noBody {
		if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
			return 0, http.ErrBodyNotAllowed
		}
		return len(p), nil
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.chunked {
		return len(p), w.writeChunked(p)
	}
	return len(p), w.writePlain(p)
}

// writePlain fills out, and writes it when a record is full.
func (w *response) writePlain(p []byte) error {
	for len(p) > 0 {
		if len(w.out) >= recordSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		if len(w.out) == 0 && len(p) >= recordSize {
			whole := len(p) / recordSize * recordSize
			if err := w.send(p[:whole]); err != nil {
				return err
			}
			p = p[whole:]
			continue
		}
		n := min(len(p), recordSize-len(w.out))
		w.out = append(w.out, p[:n]...)
		p = p[n:]
		if len(w.out) == recordSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

const chunkHead, chunkTail = "0000\r\n", "\r\n"

// writeChunked fills a chunk in out, and writes it when a record is full.
func (w *response) writeChunked(p []byte) error {
	for len(p) > 0 {
		if w.chunkAt < 0 {
			if recordSize-len(w.out) < len(chunkHead)+len(chunkTail)+1 {
				if err := w.flush(); err != nil {
					return err
				}
			}
			w.chunkAt = len(w.out)
			w.out = append(w.out, chunkHead...)
		}
		n := min(len(p), recordSize-len(chunkTail)-len(w.out))
		w.out = append(w.out, p[:n]...)
		p = p[n:]
		if len(w.out) == recordSize-len(chunkTail) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// closeChunk writes the size of the open chunk into its place.
func (w *response) closeChunk() {
	if w.chunkAt < 0 {
		return
	}
	const digits = "0123456789abcdef"
	size := len(w.out) - w.chunkAt - len(chunkHead)
	for i := range 4 {
		w.out[w.chunkAt+i] = digits[size>>(12-4*i)&15]
	}
	w.out = append(w.out, chunkTail...)
	w.chunkAt = -1
}

// flush writes out. w.mu is held.
func (w *response) flush() error {
	w.closeChunk()
	if len(w.out) == 0 {
		return w.err
	}
	err := w.send(w.out)
	w.out = w.out[:0]
	return err
}

// send writes to the client, which may take its time but not stop.
func (w *response) send(p []byte) error {
	if w.err != nil {
		return w.err
	}
	w.c.writeDeadline()
	_, w.err = w.c.conn.Write(p)
	return w.err
}

// Flush implements http.Flusher.
func (w *response) Flush() { w.FlushError() }

// FlushError sends what there is.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHead()
	return w.flush()
}

var errShort = errors.New("answer is shorter than its length")

// finish completes the answer. An error means that the connection can't be
// used any more.
func (w *response) finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wrote {
		w.endEmpty()
	}
	w.writeHead()
	if w.chunked {
		w.closeChunk()
		if len(w.out)+len(lastChunk) > recordSize {
			w.flush()
		}
		w.out = append(w.out, "0\r\n"...)
		w.out = appendTrailers(w.out, w.header)
		w.out = append(w.out, "\r\n"...)
	}
	err := w.flush()
	w.out = nil
	if w.room != nil {
		records.Put(w.room)
		w.room = nil
	}
	if err == nil && !w.noBody && w.length >= 0 && w.written < w.length {
		err = errShort
	}
	return err
}

// endEmpty gives an answer without a body the length 0, if it has no trailers.
func (w *response) endEmpty() {
	for key := range w.header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			return
		}
	}
	if _, ok := w.header["Content-Length"]; !ok && HasBody(w.c.head.Method, max(w.status, 200)) {
		w.length = 0
	}
}

// Hijack implements http.Hijacker: what was read ahead is in the reader. There
// must be no body left.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.c.body.ended.Load() {
		return nil, nil, errors.New("the request's body has not been read")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flush(); err != nil {
		return nil, nil, err
	}
	w.c.ctx.end()
	w.taken = true
	w.c.conn.SetDeadline(noDeadline)
	return w.c.conn, bufio.NewReadWriter(bufio.NewReader(taken{w.c}), bufio.NewWriter(w.c.conn)), nil
}

// taken reads a connection that was hijacked.
type taken struct{ c *Conn }

func (t taken) Read(p []byte) (int, error) {
	if t.c.in.Buffered() > 0 {
		return t.c.in.read(p)
	}
	return t.c.conn.Read(p)
}

// SetReadDeadline implements what http.ResponseController wants.
func (w *response) SetReadDeadline(t time.Time) error { return w.c.conn.SetReadDeadline(t) }

// SetWriteDeadline holds until the next write.
func (w *response) SetWriteDeadline(t time.Time) error { return w.c.conn.SetWriteDeadline(t) }

// EnableFullDuplex is always so.
func (w *response) EnableFullDuplex() error { return nil }
