package tunnel

import (
	"net/netip"
	"time"
)

// A Vital is what a Pulse knows of a peer.
type Vital struct {
	PublicKey PublicKey
	Live      bool           // a beat was answered within LiveFor
	LastBeat  time.Time      // of the last answer; zero if none yet
	RTT       time.Duration  // of the last answer
	Smoothed  time.Duration  // as TCP smooths it (RFC 6298)
	Misses    int            // beats without an answer since the last
	Redials   int            // sessions begun anew since the last
	Endpoint  netip.AddrPort // where the last redial went; zero without one
	Err       error          // why nothing is sent: the clock, the network
}

// A vital is a Vital in the making.
type vital struct {
	Vital
	seq      uint64            // of the last beat
	sent     [recent]time.Time // of the last beats, by seq modulo recent
	answered uint64            // the highest seq that was
	fresh    bool              // no answer yet in this session: a handshake comes first
	next     time.Time         // when to beat, or to miss
}

// recent is how many beats back an answer counts.
const recent = 8

func (v *vital) waiting() bool       { return v.answered < v.seq }
func (v *vital) lastSent() time.Time { return v.sent[v.seq%recent] }

// measure takes a round trip into the mean (RFC 6298), unless a handshake was
// part of it and there are others.
func (v *vital) measure(rtt time.Duration) {
	switch {
	case v.Smoothed == 0:
		v.RTT, v.Smoothed = rtt, rtt
	case !v.fresh:
		v.RTT, v.Smoothed = rtt, v.Smoothed+(rtt-v.Smoothed)/8
	}
}
