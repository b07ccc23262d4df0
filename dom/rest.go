package dom

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A rest is when memory goes back to the system. What a heavy act needed, a
// city database above all, lies in pools that only the collector empties, and
// an idle dom would not collect for minutes: 160 MiB instead of 40. The zero
// value is ready.
type rest struct {
	last  uint64 // bytes allocated until the last look
	since uint64 // and until the last rest
	quiet int    // looks in a row with little between
}

const (
	restLook  = 10 * time.Second
	restQuiet = 16 << 20 // bytes allocated between two looks that count as little
	restWorth = 64 << 20 // bytes allocated since the last rest that make one worth it
	restAfter = 2        // quiet looks: the store's caches live 10 s
)

// due says whether now is the time, by all that was allocated so far.
func (r *rest) due(allocated uint64) bool {
	r.quiet++
	if allocated-r.last > restQuiet {
		r.quiet = 0
	}
	r.last = allocated
	if r.quiet < restAfter || allocated-r.since < restWorth {
		return false
	}
	r.since = allocated
	return true
}

// Run rests when it is due, until ctx ends.
func (r *rest) Run(ctx context.Context) error {
	look := time.NewTicker(restLook)
	defer look.Stop()
	total := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		if metrics.Read(total); r.due(total[0].Value.Uint64()) {
			debug.FreeOSMemory() // a pool outlives one collection
			debug.FreeOSMemory()
		}
	}
}
