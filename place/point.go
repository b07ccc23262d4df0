// Package place is about where on the Earth something is: coordinates as an
// operator writes them, and the distance between two of them.
package place

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Point is a place in degrees, north and east positive (WGS 84).
type Point struct{ Lat, Lon float64 }

// Parse reads "lat,lon" in decimal degrees, negatives and all. Latitude is in
// [-90, 90], longitude in [-180, 180].
func Parse(s string) (Point, error) {
	lat, lon, ok := strings.Cut(s, ",")
	if !ok {
		return Point{}, fmt.Errorf("coordinates %q: want LAT,LON in degrees, as in -33.87,151.21", s)
	}
	la, err1 := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	lo, err2 := strconv.ParseFloat(strings.TrimSpace(lon), 64)
	if err1 != nil || err2 != nil {
		return Point{}, fmt.Errorf("coordinates %q: want two numbers LAT,LON, as in -33.87,151.21", s)
	}
	p := Point{la, lo}
	if err := p.Validate(); err != nil {
		return Point{}, fmt.Errorf("coordinates %q: %w", s, err)
	}
	return p, nil
}

// Validate says what is out of range.
func (p Point) Validate() error {
	if !(p.Lat >= -90 && p.Lat <= 90) {
		return fmt.Errorf("latitude %v is not within -90 and 90", p.Lat)
	}
	if !(p.Lon >= -180 && p.Lon <= 180) {
		return fmt.Errorf("longitude %v is not within -180 and 180", p.Lon)
	}
	return nil
}

// String is the form that Parse reads.
func (p Point) String() string {
	return strconv.FormatFloat(p.Lat, 'f', -1, 64) + "," + strconv.FormatFloat(p.Lon, 'f', -1, 64)
}

// MarshalText and UnmarshalText make a Point "lat,lon" in JSON and YAML.
func (p Point) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (p *Point) UnmarshalText(b []byte) (err error) {
	*p, err = Parse(string(b))
	return err
}

const earthRadius = 6371 // km, mean

// Distance is the great-circle distance in kilometres, by the haversine
// formula on a sphere: within 0.6 % of the true one.
func Distance(p, q Point) float64 {
	const rad = math.Pi / 180
	lat := math.Sin((q.Lat - p.Lat) * rad / 2)
	lon := math.Sin((q.Lon - p.Lon) * rad / 2)
	h := lat*lat + math.Cos(p.Lat*rad)*math.Cos(q.Lat*rad)*lon*lon
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(h)))
}
