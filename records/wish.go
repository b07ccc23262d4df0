// Package records makes the exact zones and site hosts to publish of what an
// operator wishes: zone files, nameservers and sites. It takes and gives
// values; the same values always give the same result.
//
// What Assemble gives can be served as it is: each zone has a SOA and NS, the
// addresses of our nameservers are in the zones that hold their names, each
// site host lies in a zone, below no delegation, and has no static address.
// Every conflict is an error that names both sides, and all are reported, not
// only the first.
package records

import (
	"net/netip"

	"b8s/place"
	"b8s/zonefile"
)

// DefaultNameserverTTL of the records that are added for nameservers, in
// seconds, and DefaultSiteTTL of a site's hosts.
const (
	DefaultNameserverTTL = 3600
	DefaultSiteTTL       = 60
	maxSiteTTL           = 86400
)

// Wish is what an operator wants published. It is what a verb sends to the
// daemon, and what the dom keeps as the last published configuration: JSON
// gives it back whole, with the place of each record in its file.
//
// Zones may be without NS at the apex (zonefile.Options.WithoutNS). Domain
// names are lower case, absolute, with the trailing dot. At, where a type has
// it, is FILE:LINE:COLUMN and stands before errors; "" leaves it out.
type Wish struct {
	Zones       []*zonefile.Zone `json:"zones"`
	Nameservers []Nameserver     `json:"nameservers,omitempty"`
	Sites       []Site           `json:"sites,omitempty"`

	// NameserverTTL is that of the NS, A and AAAA records that are added, in
	// seconds; 0 means DefaultNameserverTTL.
	NameserverTTL uint32 `json:"nameserver_ttl,omitempty"`
}

// Nameserver is the name of a nameserver and the sub that it runs on.
type Nameserver struct {
	Name string `json:"name"`
	Sub  string `json:"sub"`
	At   string `json:"at,omitempty"`
}

// Site is a set of host names answered with the nearest of its subs.
type Site struct {
	Name    string   `json:"name"`
	Hosts   []Host   `json:"hosts"`
	Subs    []string `json:"subs,omitempty"`    // empty means all
	TTL     uint32   `json:"ttl,omitempty"`     // seconds, up to 86400; 0 means DefaultSiteTTL
	Default string   `json:"default,omitempty"` // sub for an unknown place
	At      string   `json:"at,omitempty"`
}

// Host is a host name of a site; its first label may be *.
type Host struct {
	Name string `json:"name"`
	At   string `json:"at,omitempty"`
}

// Sub is an enrolled sub, as far as records depend on it.
type Sub struct {
	Name        string      `json:"name"`
	IPv4        netip.Addr  `json:"ipv4,omitzero"` // invalid if it has none
	IPv6        netip.Addr  `json:"ipv6,omitzero"`
	Coordinates place.Point `json:"coordinates"`
	Drained     bool        `json:"drained,omitempty"`
}

// Assembled is what is published.
type Assembled struct {
	Zones []*zonefile.Zone `json:"zones"` // by apex in canonical order
	Hosts []SiteHosts      `json:"hosts"` // by site name
}

// SiteHosts is the value of a site in the bucket hosts.
type SiteHosts struct {
	Name    string   `json:"name"`
	Hosts   []string `json:"hosts"` // sorted
	Subs    []string `json:"subs"`  // sorted; empty means all
	TTL     uint32   `json:"ttl"`   // seconds
	Default string   `json:"default,omitempty"`
}
