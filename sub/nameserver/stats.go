package nameserver

import "sync/atomic"

// Stats counts what a server did since it was made.
type Stats struct {
	UDP, TCP  [24]uint64 // answers by RCODE, extended ones included
	Truncated uint64
	Silent    uint64 // queries that got no answer, as the protocol wants it
	Refused   uint64 // TCP connections over the limits
}

// counters is Stats as one thread adds to it.
type counters struct {
	codes     [2][24]atomic.Uint64
	truncated atomic.Uint64
	silent    atomic.Uint64
}

// tally counts without synchronisation, to be added to counters once a batch.
type tally struct {
	codes     [2][24]uint32
	truncated uint32
	silent    uint32
}

func (t *tally) count(stream bool, rcode int, truncated bool) {
	i := 0
	if stream {
		i = 1
	}
	t.codes[i][min(rcode, 23)]++
	if truncated {
		t.truncated++
	}
}

// flush moves a tally into the counters.
func (c *counters) flush(t *tally) {
	for i := range t.codes {
		for code, n := range t.codes[i] {
			if n != 0 {
				c.codes[i][code].Add(uint64(n))
				t.codes[i][code] = 0
			}
		}
	}
	if t.truncated|t.silent != 0 {
		c.truncated.Add(uint64(t.truncated))
		c.silent.Add(uint64(t.silent))
		t.truncated, t.silent = 0, 0
	}
}

func (c *counters) addTo(s *Stats) {
	for code := range s.UDP {
		s.UDP[code] += c.codes[0][code].Load()
		s.TCP[code] += c.codes[1][code].Load()
	}
	s.Truncated += c.truncated.Load()
	s.Silent += c.silent.Load()
}
