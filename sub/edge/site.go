package edge

import (
	"io/fs"
	"time"
)

// Site is what is served under some host names. Its Name keeps counters and
// limits together across SetSites.
type Site struct {
	Name string
	// Hosts in lower case without the last dot; "*.example.org" stands for one
	// label more. The exact name wins.
	Hosts []string
	// Routes by path; the longest that matches is taken. None matches: 404.
	Routes []Route
	// Version is that of the site, for header B8s-Version. Empty:
	// Options.Version.
	Version string
	// HSTS is the field Strict-Transport-Security. MaxAge 0: none.
	HSTS HSTS
	// Limits of this site.
	Limits SiteLimits
	// NoHeaders leaves out B8s-Sub, B8s-Version and Server-Timing;
	// NoCompression sends everything as it is; NoAltSvc doesn't tell of HTTP/3.
	NoHeaders, NoCompression, NoAltSvc bool
	// AccessLog writes a line a request to Options.AccessLog.
	AccessLog bool
}

// Route is where requests below a path go: an upstream, or else a folder.
type Route struct {
	// Path is "/" or empty for all, or a prefix of whole segments: "/api" takes
	// /api and /api/x, not /apix.
	Path string
	// Strip takes Path off before the request goes on.
	Strip bool
	// Upstream is HOST:PORT of a server that speaks HTTP/1.1, or HTTP/2 without
	// TLS with H2C (gRPC servers). Empty: Folder.
	Upstream string
	H2C      bool
	// Folder holds static files, and is known by Digest: the same Digest is the
	// same content, for ever, and the caches are kept across SetSites. Its files
	// must be io.Seeker above 256 KiB, as those of os.DirFS and os.Root are.
	Folder fs.FS
	Digest string
	// NotFound is the file in Folder for what isn't there, with status 404, or
	// 200 with SinglePage. Empty: 404.html if there is one.
	NotFound   string
	SinglePage bool
}

// HSTS is RFC 6797's field.
type HSTS struct {
	MaxAge            time.Duration
	IncludeSubDomains bool
	Preload           bool
}

// SiteLimits bound one site. Zero fields have the defaults named.
type SiteLimits struct {
	// Active requests at once: 1,024. One more gets 503 with Retry-After.
	Active int
	// Body of a request in octets: 100 MiB; negative: without bound. A larger
	// one gets 413.
	Body int64
	// Connect, Head, Idle bound the connection to the upstream, the time to the
	// head of its answer, and its silence in the midst of one (server-sent
	// events too): 2 s, 60 s, 120 s.
	Connect, Head, Idle time.Duration
	// Upgraded is the silence that ends a WebSocket: 1 hour.
	Upgraded time.Duration
	// IdleConnections kept to an upstream: 64.
	IdleConnections int
}

func (l SiteLimits) withDefaults() SiteLimits {
	fill(&l.Active, 1024)
	if l.Body == 0 {
		l.Body = 100 << 20
	}
	fill(&l.Connect, 2*time.Second)
	fill(&l.Head, 60*time.Second)
	fill(&l.Idle, 120*time.Second)
	fill(&l.Upgraded, time.Hour)
	fill(&l.IdleConnections, 64)
	return l
}
