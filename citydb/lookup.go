package citydb

import (
	"fmt"
	"net/netip"

	"b8s/place"

	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"
)

// Place is what the database tells about an address.
type Place struct {
	Found      bool         // the database has coordinates for the address; Point is nothing without
	Point      place.Point  // of the network's users, or the middle of their country
	AccuracyKM int          // radius around Point that most likely holds the user; 0 if not told
	City       string       // English names, empty if not told
	Country    string       // as "Australia"
	ISOCode    string       // of the country, as "AU"
	Continent  string       // as "Oceania"
	Network    netip.Prefix // the widest network around the address with this one record, or with none
}

// Lookup finds the place of an address; an IPv4 address mapped into IPv6 is
// looked up as IPv4. An address that the database doesn't know is no error.
func (db *DB) Lookup(addr netip.Addr) (Place, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.buf == nil {
		return Place{}, ErrClosed
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() && db.tree.version == 4 {
		return Place{Network: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, nil
	}
	result := db.reader.Lookup(addr)
	if err := result.Err(); err != nil {
		return Place{}, fmt.Errorf("look up %s: %w", addr, err)
	}
	found := Place{Network: result.Prefix()}
	if !result.Found() {
		return found, nil
	}
	var rec cityRecord
	if err := result.Decode(&rec); err != nil {
		return Place{}, fmt.Errorf("look up %s: %w", addr, err)
	}
	rec.fill(&found)
	return found, nil
}

type cityRecord struct {
	City      names `maxminddb:"city"`
	Continent names `maxminddb:"continent"`
	Country   names `maxminddb:"country"`
	Location  struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Accuracy  uint16   `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
}

type names struct {
	ISO   string `maxminddb:"iso_code"`
	Names struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

func (r *cityRecord) fill(p *Place) {
	p.City, p.Continent = r.City.Names.English, r.Continent.Names.English
	p.Country, p.ISOCode = r.Country.Names.English, r.Country.ISO
	p.AccuracyKM = int(r.Location.Accuracy)
	if r.Location.Latitude == nil || r.Location.Longitude == nil {
		return
	}
	at := place.Point{Lat: *r.Location.Latitude, Lon: *r.Location.Longitude}
	if at.Validate() == nil {
		p.Point, p.Found = at, true
	}
}

// Coordinates decodes the coordinates of a record that a walk visited, and
// nothing else of it. It reports false where the record has none, or none on
// Earth. Not for None and IPv4.
func (n Networks) Coordinates(r Record) (place.Point, bool, error) {
	offset := uint32(r) - n.db.tree.count - separator
	var loc location
	if err := n.db.reader.LookupOffset(uintptr(offset)).Decode(&loc); err != nil {
		return place.Point{}, false, fmt.Errorf("record at %d of the data: %w", offset, err)
	}
	if !loc.lat.set || !loc.lon.set {
		return place.Point{}, false, nil
	}
	p := place.Point{Lat: loc.lat.value, Lon: loc.lon.value}
	return p, p.Validate() == nil, nil
}

// location takes latitude and longitude out of a record, skipping the rest,
// which is several times as fast as decoding by reflection.
type location struct{ lat, lon coordinate }

type coordinate struct {
	value float64
	set   bool
}

// UnmarshalMaxMindDBCursor implements mmdbdata.CursorUnmarshaler.
func (l *location) UnmarshalMaxMindDBCursor(record mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	return eachField(record, func(key []byte, value mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		if string(key) == "location" {
			return eachField(value, l.field)
		}
		return value.Skip()
	})
}

func (l *location) field(key []byte, value mmdbdata.Cursor) (next mmdbdata.Cursor, err error) {
	switch string(key) {
	case "latitude":
		l.lat.value, next, err = value.ReadFloat()
		l.lat.set = true
	case "longitude":
		l.lon.value, next, err = value.ReadFloat()
		l.lon.set = true
	default:
		next, err = value.Skip()
	}
	return next, err
}

// eachField calls read for each entry of the map at c; read returns the cursor
// behind the value.
func eachField(c mmdbdata.Cursor, read func([]byte, mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	m, err := c.Map()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var next mmdbdata.Cursor
	for {
		key, value, ok := m.Next(next)
		if !ok {
			return m.End()
		}
		if next, err = read(key, value); err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
}
