package dom

import "time"

// Report is what b8s dom status shows. OK says whether every sub serves what
// this dom believes; if not, Why says so by its consequence, worst first.
type Report struct {
	OK      bool        `json:"ok"`
	Why     []string    `json:"why,omitempty"`
	Version string      `json:"version"`
	Uptime  Millis      `json:"uptime_ms"`
	Zones   int         `json:"zones"`
	GeoLite *GeoReport  `json:"geolite,omitempty"`
	Subs    []SubReport `json:"subs"`
}

// GeoReport is the city database in force.
type GeoReport struct {
	Digest string    `json:"digest"`
	Built  time.Time `json:"built"`
}

// SubReport is one sub in a Report. What the sub itself told is as old as Told.
type SubReport struct {
	Sub           string         `json:"sub"`
	OK            bool           `json:"ok"`
	Live          bool           `json:"live"` // a heartbeat within 15 s
	LastSeen      time.Time      `json:"last_seen,omitzero"`
	LastHandshake time.Time      `json:"last_handshake,omitzero"`
	RoundTrip     Millis         `json:"round_trip_ms,omitempty"`
	Endpoint      string         `json:"endpoint,omitempty"`
	Told          time.Time      `json:"told,omitzero"`
	Version       string         `json:"version,omitempty"`
	Platform      string         `json:"platform,omitempty"`
	Uptime        Millis         `json:"uptime_ms,omitempty"`
	GeoLite       time.Time      `json:"geolite_built,omitzero"`
	DiskFree      int64          `json:"disk_free,omitempty"`
	MemoryFree    int64          `json:"memory_free,omitempty"`
	MemoryUsed    int64          `json:"memory_used,omitempty"`
	Buckets       []BucketReport `json:"buckets,omitempty"`
	Problems      []string       `json:"problems,omitempty"`
}

// BucketReport is what a sub serves of a bucket.
type BucketReport struct {
	Bucket      string    `json:"bucket"`
	Revision    uint64    `json:"revision"`
	Want        uint64    `json:"want"`
	Epoch       uint64    `json:"epoch"`
	OK          bool      `json:"ok"`
	BehindSince time.Time `json:"behind_since,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}
