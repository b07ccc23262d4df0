package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestGateWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range gateRoom {
			g.enter()
		}
		entered := make(chan time.Time)
		begin := time.Now()
		go func() { g.enter(); entered <- time.Now() }()
		synctest.Wait()
		g.leave()
		if at := <-entered; !at.Equal(begin) {
			t.Errorf("entered %s after there was room", at.Sub(begin))
		}
	})
}

// Packets that never leave hold up the others for a moment only.
func TestGateForgetsTheLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		begin := time.Now()
		for range 10 * gateRoom {
			g.enter()
		}
		if d := time.Since(begin); d > 10*gateWait {
			t.Errorf("%d lost packets took %s", 10*gateRoom, d)
		}
	})
}

func TestGateLeaveWithoutEnter(t *testing.T) {
	g := newGate()
	for range 1000 {
		g.leave()
	}
	if n := g.inside.Load(); n != 0 {
		t.Errorf("%d inside", n)
	}
}
