// Package citymake writes small city databases in the MaxMind DB format, for
// the demo and for tests. It holds the whole database in memory as a tree of
// objects, some hundred bytes a network.
package citymake

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"b8s/place"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Network is one network and where its users are.
type Network struct {
	Prefix     netip.Prefix
	City       string // English name, as Country; empty ones are left out
	Country    string
	Point      place.Point
	AccuracyKM uint16
	Nowhere    bool // a record without coordinates, such as real databases have
}

// Make writes a database of type GeoLite2-City with the given build time. A
// network within an earlier one overrides it there. Any prefix is taken,
// private and loopback ones too, but those that stand for IPv4 addresses
// (2002::/16 and the like) are refused.
func Make(w io.Writer, networks []Network, built time.Time) error {
	return MakeType(w, "GeoLite2-City", networks, built)
}

// MakeType is Make with another database type in the metadata.
func MakeType(w io.Writer, kind string, networks []Network, built time.Time) error {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType:            kind,
		BuildEpoch:              built.Unix(),
		Description:             map[string]string{"en": "made by b8s"},
		Languages:               []string{"en"},
		RecordSize:              28,
		IPVersion:               6,
		IncludeReservedNetworks: true,
	})
	if err != nil {
		return fmt.Errorf("make city database: %w", err)
	}
	for _, n := range networks {
		if !n.Prefix.IsValid() {
			return fmt.Errorf("make city database: network %s: not a prefix", n.Prefix)
		}
		p := n.Prefix.Masked()
		ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := tree.Insert(ipnet, n.record()); err != nil {
			return fmt.Errorf("make city database: network %s: %w", n.Prefix, err)
		}
	}
	if _, err := tree.WriteTo(w); err != nil {
		return fmt.Errorf("make city database: %w", err)
	}
	return nil
}

func (n *Network) record() mmdbtype.Map {
	rec := mmdbtype.Map{}
	if !n.Nowhere {
		rec["location"] = mmdbtype.Map{
			"accuracy_radius": mmdbtype.Uint16(n.AccuracyKM),
			"latitude":        mmdbtype.Float64(n.Point.Lat),
			"longitude":       mmdbtype.Float64(n.Point.Lon),
		}
	}
	if n.City != "" {
		rec["city"] = named(n.City)
	}
	if n.Country != "" {
		rec["country"] = named(n.Country)
	}
	return rec
}

func named(english string) mmdbtype.Map {
	return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(english)}}
}
