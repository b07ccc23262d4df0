package bus

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestConnectNeverGivesUpAndComesBackInMilliseconds(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	var tries atomic.Int64
	var open atomic.Bool
	began := time.Now()
	nc, err := Connect(t.Context(), ConnectOptions{Name: "sydney", Dial: func(ctx context.Context) (net.Conn, error) {
		tries.Add(1)
		if !open.Load() {
			return nil, errors.New("no route")
		}
		return dialFrom("127.0.0.2", to)(ctx)
	}})
	must(t, err)
	defer nc.Close()
	if took := time.Since(began); took > time.Second {
		t.Fatalf("Connect took %v with the dom away", took)
	}
	eventually(t, "some tries", func() bool { return tries.Load() >= 5 })
	if err := nc.Publish("x", nil); err == nil {
		t.Fatal("a publish is kept while the dom is away")
	}
	open.Store(true)
	awaitStatus(t, nc, nats.CONNECTED)
	for range 3 {
		lost := time.Now()
		s.cut(s.inner, "sydney")
		eventually(t, "reconnect", func() bool { return nc.Stats().Reconnects > 0 && nc.IsConnected() })
		if took := time.Since(lost); took > 500*time.Millisecond {
			t.Fatalf("back after %v", took)
		}
	}
}

func TestReconnectDelayIsBoundedAndJittered(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		if d := reconnectDelay(1); d > 10*time.Millisecond {
			t.Fatalf("first wait %v", d)
		}
		d := reconnectDelay(1000)
		if d < 2*time.Second || d > 3100*time.Millisecond {
			t.Fatalf("later wait %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 2 {
		t.Fatal("no jitter")
	}
}
