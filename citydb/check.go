package citydb

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Info is what Check learned about a database.
type Info struct {
	Type      string    `json:"type"`       // as "GeoLite2-City"
	Built     time.Time `json:"built"`      // by its maker
	Networks  int       `json:"networks"`   // that have a record, IPv4 and IPv6
	Places    int       `json:"places"`     // distinct records
	Size      int64     `json:"size"`       // bytes
	Digest    string    `json:"digest"`     // SHA-256 of the file, lower-case hex
	IPVersion int       `json:"ip_version"` // 4: IPv4 only; 6: both
	Warning   string    `json:"warning,omitempty"`
}

// Limits says which databases Check takes. The zero value is right for data
// that is meant to be served.
type Limits struct {
	Now    time.Time     // the present; zero: the system's clock
	MaxAge time.Duration // older is refused; 0: 10 years
	// Thorough has every field of every record verified, not only what b8s
	// uses: 3 s more for GeoLite2-City. For the dom, before it publishes.
	Thorough bool
}

const (
	day         = 24 * time.Hour
	warnAge     = 60 * day // MaxMind publishes twice a week
	defaultAge  = 3653 * day
	clockLeeway = 2 * day // a build time in the future by more is nonsense
)

// Check reads the whole database at path and says what it is, or why it can't
// be served: not a city database, no coordinates in it, broken, built in the
// future or too long ago. An age above 60 days is a Warning only. Takes about
// 0.4 s for GeoLite2-City.
func Check(path string, limits Limits) (Info, error) {
	db, err := Open(path)
	if err != nil {
		return Info{}, err
	}
	defer db.Close()
	info, err := db.Check(limits)
	if err != nil {
		return info, fmt.Errorf("check city database %s: %w", path, err)
	}
	return info, nil
}

// Check is the function Check for an open database. The Info is filled as far
// as the check went, also with an error.
func (db *DB) Check(limits Limits) (Info, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.buf == nil {
		return Info{}, ErrClosed
	}
	m := db.reader.Metadata
	info := Info{Type: m.DatabaseType, Built: m.BuildTime().UTC(), Size: int64(len(db.buf)), Digest: db.digest(), IPVersion: int(m.IPVersion)}
	if m.BinaryFormatMajorVersion != 2 {
		return info, fmt.Errorf("format version %d is not known, only 2 is", m.BinaryFormatMajorVersion)
	}
	if !strings.Contains(info.Type, "City") {
		return info, fmt.Errorf("its type is %q, not a city database such as GeoLite2-City", info.Type)
	}
	var err error
	if info.Warning, err = limits.age(info.Built); err != nil {
		return info, err
	}
	if err := (Networks{db}).check(&info); err != nil {
		return info, err
	}
	if limits.Thorough {
		return info, db.reader.Verify()
	}
	return info, nil
}

func (l Limits) age(built time.Time) (warning string, err error) {
	now, limit := l.Now, l.MaxAge
	if now.IsZero() {
		now = time.Now()
	}
	if limit == 0 {
		limit = defaultAge
	}
	age := now.Sub(built)
	date := built.Format(time.DateOnly)
	switch {
	case age < -clockLeeway:
		return "", fmt.Errorf("it was built on %s, in the future: is this machine's clock right?", date)
	case age > limit:
		return "", fmt.Errorf("it was built on %s, %d days ago, more than the limit of %d", date, age/day, limit/day)
	case age > warnAge:
		return fmt.Sprintf("built on %s, %d days ago: networks move, so visitors may be sent astray", date, age/day), nil
	}
	return "", nil
}

// check walks the whole tree and decodes the coordinates of each
// distinct record.
func (n Networks) check(info *Info) error {
	seen := make(map[Record]struct{}, 1<<12)
	count := func(r Record) error {
		if r == None || r == IPv4 {
			return nil
		}
		info.Networks++
		seen[r] = struct{}{}
		return nil
	}
	err := n.Walk4(func(_ uint32, r Record) error { return count(r) })
	if err == nil {
		err = n.Walk6(func(_, _ uint64, _ uint8, r Record) error { return count(r) })
	}
	if err != nil {
		return err
	}
	info.Places = len(seen)
	return n.checkPlaces(seen)
}

func (n Networks) checkPlaces(records map[Record]struct{}) error {
	if len(records) == 0 {
		return errors.New("it has no networks at all")
	}
	located := 0
	for r := range records {
		_, ok, err := n.Coordinates(r)
		if err != nil {
			return err
		}
		if ok {
			located++
		}
	}
	if located*2 < len(records) {
		return fmt.Errorf("only %d of its %d places have coordinates, which a city database has for nearly all", located, len(records))
	}
	return nil
}
