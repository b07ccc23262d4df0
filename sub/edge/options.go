package edge

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are a server's settings; the zero value serves ports 443 (TCP and
// UDP) and 80 of all addresses.
type Options struct {
	// HTTPS is where TLS is ended: HTTP/1.1 and HTTP/2 over TCP, HTTP/3 over UDP
	// on the same port. HTTP is where redirects and challenges are answered.
	// An invalid or unspecified address stands for all addresses of both
	// families. Port 0: one that is free. Empty: 443 and 80 of all addresses.
	HTTPS, HTTP []netip.AddrPort
	// NoHTTP3 leaves UDP alone, and Alt-Svc out of the answers.
	NoHTTP3 bool
	// Name of the sub, for header B8s-Sub and for error pages.
	Name string
	// Version goes into B8s-Version of sites that have none of their own.
	Version string
	// Log gets what changes in what is served. nil: nothing.
	Log *slog.Logger
	// AccessLog is where sites with AccessLog write a line a request.
	AccessLog AccessLog
	// Registry gets the collectors. nil: they count for State alone.
	Registry prometheus.Registerer
	// Limits of the server as a whole.
	Limits ServerLimits
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// AccessLog is a file of JSON lines that never grows over Size × (Keep + 1).
type AccessLog struct {
	Path string // empty: there is none
	Size int64  // octets at which it is rotated; 0: 16 MiB
	Keep int    // rotated files that are kept, PATH.1 the youngest; 0: 4
}

// ServerLimits bound what clients may hold. Zero fields have the defaults
// named.
type ServerLimits struct {
	// Connections in all, and of one IPv4 address or IPv6 /64: 16,384 and 1,024.
	// One more is closed at once.
	Connections, ConnectionsPerAddress int
	// Head is the size of a request's head in octets: 32 KiB. Fields is the
	// number of its fields: 128.
	Head, Fields int
	// Handshake, HeadTime, Idle bound a TLS handshake, the time from the first
	// octet of a request's head to its last, and the silence between
	// requests: 10 s, 10 s, 75 s.
	Handshake, HeadTime, Idle time.Duration
	// BodyIdle and WriteIdle bound how long a client may be silent in the midst
	// of a body, and how long it may take none of an answer: 30 s each.
	BodyIdle, WriteIdle time.Duration
	// Streams a client may have open on an HTTP/2 or HTTP/3 connection: 128.
	Streams int
	// Drain is how long requests may take to end once Run's context has: 3 s.
	Drain time.Duration
	// StaticCache and CompressedCache bound the memory for small static files
	// and for their compressed variants, in octets: 8 MiB each.
	StaticCache, CompressedCache int64
}

// fill sets a field that is not set.
func fill[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

func (o Options) withDefaults() Options {
	if len(o.HTTPS) == 0 {
		o.HTTPS = []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}
	}
	if len(o.HTTP) == 0 {
		o.HTTP = []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 80)}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	fill(&o.AccessLog.Size, 16<<20)
	fill(&o.AccessLog.Keep, 4)
	o.Limits = o.Limits.withDefaults()
	return o
}

func (l ServerLimits) withDefaults() ServerLimits {
	fill(&l.Connections, 16384)
	fill(&l.ConnectionsPerAddress, 1024)
	fill(&l.Head, 32<<10)
	fill(&l.Fields, 128)
	fill(&l.Handshake, 10*time.Second)
	fill(&l.HeadTime, 10*time.Second)
	fill(&l.Idle, 75*time.Second)
	fill(&l.BodyIdle, 30*time.Second)
	fill(&l.WriteIdle, 30*time.Second)
	fill(&l.Streams, 128)
	fill(&l.Drain, 3*time.Second)
	fill(&l.StaticCache, 8<<20)
	fill(&l.CompressedCache, 8<<20)
	return l
}
