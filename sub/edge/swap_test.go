package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// Certificates, seeds and sites are swapped while requests of all protocols
// come, half of them over new connections: none fails.
func TestSwapUnderLoad(t *testing.T) {
	l := start(t, Options{}, "a.test", "b.test")
	answer := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }
	ups := []string{origin(t, answer), origin(t, answer)}
	l.set(proxied("a.test", ups[0]))
	var done, handshakes, failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 6 {
		fresh := i >= len(protocols)
		wg.Go(func() {
			for ctx.Err() == nil {
				c := l.client(i % len(protocols))
				for range 50 {
					res, err := c.Get("https://a.test/")
					if err != nil {
						failed.Add(1)
						t.Errorf("%s: %v", protocols[i%3], err)
						break
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || res.StatusCode != 200 || string(body) != "hello" {
						failed.Add(1)
						t.Errorf("%s: %d %q %v", protocols[i%3], res.StatusCode, body, err)
					}
					done.Add(1)
					if fresh || ctx.Err() != nil {
						break
					}
				}
				handshakes.Add(1)
				c.CloseIdleConnections()
				if closer, ok := c.Transport.(io.Closer); ok {
					closer.Close()
				}
			}
		})
	}
	const swaps = 100
	for i := range swaps {
		before := done.Load()
		if err := l.SetCertificates(map[string]Certificate{"main": l.ca.fresh(t, "a.test", "b.test")}); err != nil {
			t.Fatal(err)
		}
		site := proxied("a.test", ups[i%2])
		site.Limits.Active = 100 + i
		l.set(site)
		if err := l.SetTicketSeeds(map[string]TicketSeed{"main": newLocalSeed(l.opts.Now())}); err != nil {
			t.Fatal(err)
		}
		for done.Load() < before+5 && failed.Load() == 0 {
			fetch(t, l.client(viaHTTP1), "GET", "https://a.test/", "")
		}
	}
	cancel()
	wg.Wait()
	if failed.Load() != 0 || done.Load() < 5*swaps {
		t.Errorf("%d failed of %d requests", failed.Load(), done.Load())
	}
	t.Log(fmt.Sprintf("%d requests over %d connections, %d swaps of each", done.Load(), handshakes.Load(), swaps))
}
