package edge

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// State is what is served now, for the status.
type State struct {
	HTTPS, HTTP  []netip.AddrPort         // bound
	Problems     []string                 // for the operator: a port held by another, an expired certificate
	Certificates map[string]Served        // by certificate name
	Sites        map[string]SiteState     // by site name
	Upstreams    map[string]UpstreamState // by address
}

// Served tells of a certificate that is served.
type Served struct {
	Serial    string // hexadecimal, as openssl prints it
	NotBefore time.Time
	NotAfter  time.Time
	Names     []string
	Since     time.Time // when it was swapped in
	Expired   bool      // served all the same, as there is no better
	Tickets   bool      // sessions resume on every sub; false: on this one, or not at all
}

// SiteState counts a site's requests since the server was made.
type SiteState struct {
	Active   int64
	Requests uint64
	Failed   uint64 // answered with 5xx
	Refused  uint64 // over the limit
}

// UpstreamState tells whether an upstream may be stopped: once it is in no
// site and Active is 0, it has drained.
type UpstreamState struct {
	Active  int64     // requests and upgraded connections
	Idle    int       // connections kept
	Failing time.Time // when it first failed since the last answer; zero: it doesn't
	Err     string    // how
}

// Errors are by item: a certificate's or a site's name. What isn't in it is
// served.
type Errors map[string]error

func (e Errors) Error() string {
	lines := make([]string, 0, len(e))
	for _, name := range slices.Sorted(maps.Keys(e)) {
		lines = append(lines, name+": "+e[name].Error())
	}
	return strings.Join(lines, "; ")
}

// orNil is nil where nothing failed.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
