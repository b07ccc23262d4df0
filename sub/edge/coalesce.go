package edge

import (
	"crypto/tls"
	"sync"
	"time"
)

// holdHead is how long the head of an answer waits for its body: long enough
// for a handler that has it at hand, too short to be felt.
const holdHead = 100 * time.Microsecond

// coalescer is an HTTP/2 connection on which the head of an answer and the
// beginning of its body leave together: golang.org/x/net/http2 writes them one
// by one, and each would cost a TLS record and a system call.
type coalescer struct {
	*tls.Conn
	idle time.Duration // of a late write

	mu    sync.Mutex
	held  []byte // a head that waits
	err   error  // of a late write
	timer *time.Timer
}

func newCoalescer(conn *tls.Conn, idle time.Duration) *coalescer {
	c := &coalescer{Conn: conn, idle: idle}
	c.timer = time.AfterFunc(time.Hour, c.late)
	c.timer.Stop()
	return c
}

// Write implements net.Conn. The error of what was held is that of the next
// write.
func (c *coalescer) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if len(c.held) == 0 {
		if !headAlone(p) {
			return c.Conn.Write(p)
		}
		c.held = append(c.held, p...)
		c.timer.Reset(holdHead)
		return len(p), nil
	}
	c.timer.Stop()
	c.held = append(c.held, p...)
	if err := c.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what is held. c.mu is held.
func (c *coalescer) flush() error {
	if len(c.held) == 0 {
		return c.err
	}
	_, c.err = c.Conn.Write(c.held)
	c.held = c.held[:0]
	return c.err
}

// late writes a head that waited in vain.
func (c *coalescer) late() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 {
		c.Conn.SetWriteDeadline(time.Now().Add(c.idle))
		c.flush()
	}
}

// Close implements net.Conn.
func (c *coalescer) Close() error {
	c.timer.Stop()
	c.mu.Lock()
	if len(c.held) > 0 {
		c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		c.flush()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// headAlone tells whether p is one HEADERS frame that doesn't end its stream
// (RFC 9113 section 6.2).
func headAlone(p []byte) bool {
	const headers, endStream = 1, 1
	return len(p) >= 9 && p[3] == headers && p[4]&endStream == 0 &&
		len(p) == 9+int(p[0])<<16+int(p[1])<<8+int(p[2])
}
