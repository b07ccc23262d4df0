package http1

import (
	"context"
	"sync"
	"time"
)

// requestContext ends when the client's connection does. To tell, somebody has
// to read from it; that begins when Done is first asked for, once the body has
// been read, and costs nothing where nobody asks.
type requestContext struct {
	context.Context // of the server
	c               *Conn

	mu      sync.Mutex
	done    chan struct{}
	err     error
	ended   bool          // the handler has returned
	stopped chan struct{} // closed when the watcher is gone; nil: there is none
}

var noDeadline time.Time

// used tells whether somebody may still hold it; else it is made ready for the
// next request.
func (x *requestContext) used() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done != nil {
		return true
	}
	x.ended, x.err = false, nil
	return false
}

// Done implements context.Context.
func (x *requestContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.err != nil {
			close(x.done)
		} else {
			x.watch()
		}
	}
	return x.done
}

// Err implements context.Context.
func (x *requestContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err
}

// bodyEnded is called when the body has been read.
func (x *requestContext) bodyEnded() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done != nil {
		x.watch()
	}
}

// watch begins to read from the connection. Octets that come are the next
// request's, and end the watch. x.mu is held.
func (x *requestContext) watch() {
	c := x.c
	if x.ended || x.stopped != nil || !c.body.ended.Load() || c.in.Buffered() > 0 {
		return
	}
	c.conn.SetReadDeadline(noDeadline)
	stopped := make(chan struct{})
	x.stopped = stopped
	go func() {
		defer close(stopped)
		if err := c.in.fill(); err != nil {
			x.cancel()
		}
	}()
}

// cancel ends the context, unless its request has.
func (x *requestContext) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended && x.err == nil {
		x.err = context.Canceled
		close(x.done)
	}
}

// end stops the watch, and ends the context of whoever kept it.
func (x *requestContext) end() {
	x.mu.Lock()
	x.ended = true
	stopped := x.stopped
	if stopped != nil {
		x.c.conn.SetReadDeadline(past)
	}
	x.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil {
		x.err = context.Canceled
		if x.done != nil {
			close(x.done)
		}
	}
}
