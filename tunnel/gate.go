package tunnel

import (
	"sync/atomic"
	"time"
)

const (
	// gateRoom is how many packets of one direction may be inside WireGuard at
	// once. It keeps each in a buffer of 64 KiB and would take thousands.
	gateRoom = 32

	// gateWait bounds a wait for room. WireGuard drops packets without a word,
	// and a count that they spoiled must not hold up the others.
	gateWait = 5 * time.Millisecond
)

// A gate bounds how many packets are between two points. It bounds them
// softly: who waits too long goes on, and the count begins anew.
type gate struct {
	inside atomic.Int32
	room   chan struct{}
}

func newGate() *gate { return &gate{room: make(chan struct{}, 1)} }

// enter counts a packet in, after a wait for room.
func (g *gate) enter() {
	if g.inside.Add(1) <= gateRoom {
		return
	}
	timeout := time.NewTimer(gateWait)
	defer timeout.Stop()
	select {
	case <-g.room:
	case <-timeout.C:
		g.inside.Store(1)
	}
}

// leave counts a packet out.
func (g *gate) leave() {
	switch n := g.inside.Add(-1); {
	case n < 0:
		g.inside.CompareAndSwap(n, 0) // not one that entered
	case n >= gateRoom/2:
		select {
		case g.room <- struct{}{}:
		default:
		}
	}
}
