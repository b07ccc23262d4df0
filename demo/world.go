package demo

import (
	"bytes"
	"net/netip"
	"time"

	"b8s/citydb/citymake"
	"b8s/place"
)

// subs of the demo, with the last octet of their loopback addresses.
var subs = []struct {
	name string
	at   place.Point
	host byte
}{
	{"sydney", place.Point{Lat: -33.87, Lon: 151.21}, 11},
	{"london", place.Point{Lat: 51.51, Lon: -0.13}, 12},
	{"new-york", place.Point{Lat: 40.71, Lon: -74.01}, 13},
	{"singapore", place.Point{Lat: 1.35, Lon: 103.82}, 14},
}

// city is where some visitors of the demo are. Their networks are reserved
// for documentation and benchmarks (RFC 5737, RFC 2544).
type city struct {
	name, country string
	at            place.Point
	network       netip.Prefix
}

var cities = []city{
	{"Auckland", "New Zealand", place.Point{Lat: -36.85, Lon: 174.76}, netip.MustParsePrefix("198.18.1.0/24")},
	{"Berlin", "Germany", place.Point{Lat: 52.52, Lon: 13.40}, netip.MustParsePrefix("198.18.2.0/24")},
	{"Cairo", "Egypt", place.Point{Lat: 30.04, Lon: 31.24}, netip.MustParsePrefix("198.18.3.0/24")},
	{"Chicago", "United States", place.Point{Lat: 41.88, Lon: -87.63}, netip.MustParsePrefix("198.18.4.0/24")},
	{"Jakarta", "Indonesia", place.Point{Lat: -6.21, Lon: 106.85}, netip.MustParsePrefix("198.18.5.0/24")},
	{"Melbourne", "Australia", place.Point{Lat: -37.81, Lon: 144.96}, netip.MustParsePrefix("198.51.100.0/24")},
	{"São Paulo", "Brazil", place.Point{Lat: -23.55, Lon: -46.63}, netip.MustParsePrefix("203.0.113.0/24")},
	{"Tokyo", "Japan", place.Point{Lat: 35.68, Lon: 139.69}, netip.MustParsePrefix("198.18.6.0/24")},
}

// cityDatabase is a city database of the demo's cities.
func cityDatabase() ([]byte, error) {
	var networks []citymake.Network
	for _, c := range cities {
		networks = append(networks, citymake.Network{Prefix: c.network, City: c.name, Country: c.country, Point: c.at, AccuracyKM: 20})
	}
	var b bytes.Buffer
	err := citymake.Make(&b, networks, time.Now())
	return b.Bytes(), err
}

// nearest is the sub that a city has to be sent to, computed anew from the
// coordinates and by nothing that the subs use, and how far it is.
func nearest(c city) (name string, km float64) {
	for _, s := range subs {
		if d := place.Distance(c.at, s.at); name == "" || d < km {
			name, km = s.name, d
		}
	}
	return name, km
}
