package edge

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"b8s/sub/edge/upstream"
)

// upgrade joins client and upstream once both speak another protocol, until
// one of them closes or both are silent.
func (p *proxy) upgrade(x *exchange, res *upstream.Response) {
	h := x.Header()
	copyAnswer(h, res.Header, p.site)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	x.WriteHeader(http.StatusSwitchingProtocols)
	client, ahead, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer client.Close()
	server, early := res.Upgraded()
	t := &tunnel{idle: p.site.Limits.Upgraded, ends: [2]net.Conn{client, server}}
	t.touch()
	if len(early) > 0 {
		if _, err := client.Write(early); err != nil {
			return
		}
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		x.sent = t.copy(client, server)
	}()
	x.received = t.copy(server, ahead)
	<-back
}

// tunnel is two connections whose silence is counted together.
type tunnel struct {
	idle time.Duration
	ends [2]net.Conn
	last atomic.Int64 // when the deadlines were set, in Unix nanoseconds
}

// touch lets both ends be silent for the whole time again.
func (t *tunnel) touch() {
	now := time.Now()
	if now.Sub(time.Unix(0, t.last.Load())) < t.idle/16 {
		return
	}
	t.last.Store(now.UnixNano())
	for _, end := range t.ends {
		end.SetDeadline(now.Add(t.idle))
	}
}

// copy copies one way, and closes both ends when it can't go on.
func (t *tunnel) copy(to net.Conn, from io.Reader) (sent int64) {
	buf := copies.Get().(*[64 << 10]byte)
	defer copies.Put(buf)
	defer func() {
		for _, end := range t.ends {
			end.SetDeadline(time.Unix(1, 0))
		}
	}()
	for {
		n, err := from.Read(buf[:])
		if n > 0 {
			t.touch()
			if _, err := to.Write(buf[:n]); err != nil {
				return sent
			}
			sent += int64(n)
		}
		if err != nil {
			return sent
		}
	}
}
