package bus

import (
	"context"
	"io"
	"time"
)

// limited reads at most rate bytes a second in the long run, and burst at
// once. A sub says little: this bounds what a hostile one makes the server
// parse and remember.
type limited struct {
	ctx    context.Context
	r      io.Reader
	rate   float64
	burst  float64
	tokens float64
	last   time.Time
}

func limit(ctx context.Context, r io.Reader, rate, burst int) *limited {
	return &limited{ctx: ctx, r: r, rate: float64(rate), burst: float64(burst), tokens: float64(burst), last: time.Now()}
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	now := time.Now()
	l.tokens = min(l.burst, l.tokens+now.Sub(l.last).Seconds()*l.rate) - float64(n)
	l.last = now
	if l.tokens >= 0 {
		return n, err
	}
	wait := time.NewTimer(time.Duration(-l.tokens / l.rate * float64(time.Second)))
	defer wait.Stop()
	select {
	case <-wait.C:
		return n, err
	case <-l.ctx.Done():
		return n, l.ctx.Err()
	}
}
