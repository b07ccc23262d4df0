package kv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"b8s/place"
	"b8s/subjects"
	"b8s/zonefile"
)

// majorSchema is the newest form of values that this version reads. A value
// says its own in "schema"; a minor step (1.1) adds fields that an older
// version leaves aside.
const majorSchema = 1

// MaxZoneText is how large a zone's text may be to stand in its bucket itself,
// in bytes. A larger one is an object, and a ZoneReference stands there.
const MaxZoneText = 512 << 10

// Roles of a sub.
const (
	RoleDNS  = "dns"
	RoleEdge = "edge"
)

// ZoneReference is the value of a zone that is too large for its bucket: the
// text is the object of kind zones with that digest.
type ZoneReference struct {
	Schema  float64 `json:"schema"`
	Digest  string  `json:"digest"` // SHA-256 of the text, hex
	Size    int64   `json:"size"`   // of the text, bytes
	Serial  uint32  `json:"serial"`
	Records int     `json:"records"`
}

// Hosts is the value of a site in bucket hosts.
type Hosts struct {
	Schema  float64  `json:"schema"`
	Hosts   []string `json:"hosts"`             // absolute names that are answered with the nearest sub
	Subs    []string `json:"subs"`              // names of the subs that serve it
	TTL     uint32   `json:"ttl"`               // seconds, of those answers
	Default string   `json:"default,omitempty"` // sub for a visitor of whom nothing is known
}

// Sub is the value of a sub in bucket subs.
type Sub struct {
	Schema      float64     `json:"schema"`
	IPv4        netip.Addr  `json:"ipv4,omitzero"`
	IPv6        netip.Addr  `json:"ipv6,omitzero"`
	Coordinates place.Point `json:"coordinates"`
	PublicKey   string      `json:"public_key"` // WireGuard's, base64
	Port        uint16      `json:"port"`       // WireGuard's, UDP
	Roles       []string    `json:"roles"`
	Drained     bool        `json:"drained,omitempty"`   // no visitor is sent to it
	Recipient   string      `json:"recipient,omitempty"` // age's, for what is sealed to it
	Platform    string      `json:"platform,omitempty"`  // as in linux/amd64
}

// City is the value of key city in bucket geolite: which object is the
// current database.
type City struct {
	Schema   float64   `json:"schema"`
	Digest   string    `json:"digest"` // SHA-256 of the database, hex
	Size     int64     `json:"size"`   // bytes
	Built    time.Time `json:"built"`
	Type     string    `json:"type"` // as the database names itself
	Networks int       `json:"networks,omitempty"`
}

// IsZoneReference says whether a zone's value is a ZoneReference and not the
// zone's text, which can't begin with a brace.
func IsZoneReference(value []byte) bool { return bytes.HasPrefix(value, []byte("{")) }

// DecodeZoneReference reads the value of a large zone.
func DecodeZoneReference(value []byte) (ZoneReference, error) {
	v, err := decode[ZoneReference](value)
	if err != nil {
		return v, err
	}
	return v, errorIf(!digestForm.MatchString(v.Digest), "digest %q is not a SHA-256 in hex", v.Digest,
		v.Size <= 0, "size %d is not above 0", v.Size)
}

// DecodeHosts reads a value of bucket hosts.
func DecodeHosts(value []byte) (Hosts, error) {
	v, err := decode[Hosts](value)
	if err != nil {
		return v, err
	}
	for _, h := range v.Hosts {
		if _, err := subjects.Key(h); err != nil {
			return v, fmt.Errorf("%w: host: %w", ErrInvalid, err)
		}
	}
	for _, s := range v.Subs {
		if err := subjects.ValidName(s); err != nil {
			return v, fmt.Errorf("%w: sub: %w", ErrInvalid, err)
		}
	}
	return v, errorIf(len(v.Hosts) == 0, "no hosts", nil,
		v.TTL > 1<<31-1, "ttl %d is above 2147483647", v.TTL,
		v.Default != "" && !slices.Contains(v.Subs, v.Default), "default %q is not among the subs", v.Default)
}

// DecodeSub reads a value of bucket subs.
func DecodeSub(value []byte) (Sub, error) {
	v, err := decode[Sub](value)
	if err != nil {
		return v, err
	}
	if err := v.Coordinates.Validate(); err != nil {
		return v, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, errorIf(!v.IPv4.IsValid() && !v.IPv6.IsValid(), "no address", nil,
		v.IPv4.IsValid() && !v.IPv4.Is4(), "ipv4 %s is not an IPv4 address", v.IPv4,
		v.IPv6.IsValid() && (!v.IPv6.Is6() || v.IPv6.Is4In6()), "ipv6 %s is not an IPv6 address", v.IPv6)
}

// DecodeCity reads the value of key city in bucket geolite.
func DecodeCity(value []byte) (City, error) {
	v, err := decode[City](value)
	if err != nil {
		return v, err
	}
	return v, errorIf(!digestForm.MatchString(v.Digest), "digest %q is not a SHA-256 in hex", v.Digest,
		v.Size <= 0, "size %d is not above 0", v.Size)
}

// Encode makes the JSON of a value, as `nats kv get` shows it. Its schema is
// set where it is 0.
func Encode[T Hosts | Sub | City | ZoneReference](v T) ([]byte, error) {
	switch p := any(&v).(type) {
	case *Hosts:
		p.Schema = schemaOr(p.Schema)
	case *Sub:
		p.Schema = schemaOr(p.Schema)
	case *City:
		p.Schema = schemaOr(p.Schema)
	case *ZoneReference:
		p.Schema = schemaOr(p.Schema)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

func schemaOr(s float64) float64 {
	if s == 0 {
		return majorSchema
	}
	return s
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// schemaOf is the schema of a JSON value, 1 for one that does not say.
func schemaOf(value []byte) (float64, error) {
	head := struct {
		Schema float64 `json:"schema"`
	}{majorSchema}
	if err := json.Unmarshal(value, &head); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return head.Schema, nil
}

// decode reads a value whose schema is not above majorSchema. Unknown fields
// are left aside.
func decode[T any](value []byte) (v T, err error) {
	schema, err := schemaOf(value)
	if err != nil {
		return v, err
	}
	if schema < 1 || int(schema) > majorSchema {
		return v, fmt.Errorf("%w: schema %v, this b8s reads %d: update it", ErrInvalid, schema, majorSchema)
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return v, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, nil
}

// errorIf takes triples of a condition, a format and its one argument, and
// returns the error of the first condition that holds.
func errorIf(triples ...any) error {
	for i := 0; i+2 < len(triples); i += 3 {
		if !triples[i].(bool) {
			continue
		}
		text := triples[i+1].(string)
		if arg := triples[i+2]; arg != nil {
			text = fmt.Sprintf(text, arg)
		}
		return fmt.Errorf("%w: %s", ErrInvalid, text)
	}
	return nil
}

// Validate says why value can't be served under key of bucket, or nil. The
// error wraps ErrInvalid. It runs before a value is stored, and again on the
// sub: a value that passes decodes.
func Validate(bucket, key string, value []byte) error {
	b, ok := subjects.LookupBucket(bucket)
	if !ok || !b.Used {
		return fmt.Errorf("%w: no bucket %q in this version", ErrInvalid, bucket)
	}
	if err := validKey(b, key); err != nil {
		return err
	}
	var err error
	switch bucket {
	case subjects.Records:
		err = validZone(key, value)
	case subjects.Hosts:
		_, err = DecodeHosts(value)
	case subjects.Subs:
		_, err = DecodeSub(value)
	case subjects.GeoLite:
		_, err = DecodeCity(value)
	case subjects.StatusKV:
		var s Status
		if s, err = DecodeStatus(value); err == nil && s.Sub != key {
			err = fmt.Errorf("%w: it is the status of sub %q", ErrInvalid, s.Sub)
		}
	}
	return err
}

func validKey(b subjects.Bucket, key string) (err error) {
	switch {
	case b.ByName:
		_, err = subjects.Name(key)
	case b.Name == subjects.GeoLite:
		if key != subjects.CityKey {
			err = fmt.Errorf("key %q: the one key is %s", key, subjects.CityKey)
		}
	default:
		err = subjects.ValidName(key)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// validZone checks the text of a zone, or its reference.
func validZone(key string, value []byte) error {
	if IsZoneReference(value) {
		_, err := DecodeZoneReference(value)
		return err
	}
	if len(value) > MaxZoneText {
		return fmt.Errorf("%w: zone text of %d bytes, above %d it has to be an object", ErrInvalid, len(value), MaxZoneText)
	}
	apex, err := subjects.Name(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := zonefile.Parse(apex, value, apex); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
