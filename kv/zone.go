package kv

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"b8s/subjects"
	"b8s/zonefile"
)

// PutZone stores a zone: its text in bucket records, or as an object with a
// reference in the bucket where it is above MaxZoneText.
func (s *Store) PutZone(ctx context.Context, z *zonefile.Zone) (Entry, error) {
	key, err := subjects.Key(z.Apex)
	if err != nil {
		return Entry{}, fmt.Errorf("put zone: %w", err)
	}
	text := z.Text()
	if len(text) <= MaxZoneText {
		return s.Put(ctx, subjects.Records, key, text)
	}
	if _, err := zonefile.Parse(z.Apex, text, z.Apex); err != nil { // what Validate does for a small one
		return Entry{}, fmt.Errorf("put zone %s: %w: %w", z.Apex, ErrInvalid, err)
	}
	o, err := s.PutObject(ctx, subjects.ObjectZones, bytes.NewReader(text))
	if err != nil {
		return Entry{}, fmt.Errorf("put zone %s: %w", z.Apex, err)
	}
	ref, err := Encode(ZoneReference{Digest: o.Digest, Size: o.Size, Serial: z.Serial(), Records: len(z.Records)})
	if err != nil {
		return Entry{}, err
	}
	return s.Put(ctx, subjects.Records, key, ref)
}

// ZoneText is the text of a zone of bucket records, wherever it is.
func (s *Store) ZoneText(ctx context.Context, e Entry) ([]byte, error) {
	if !IsZoneReference(e.Value) {
		return e.Value, nil
	}
	ref, err := DecodeZoneReference(e.Value)
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", e.Key, err)
	}
	var text bytes.Buffer
	if err := s.GetObject(ctx, subjects.ObjectZones, ref.Digest, &text); err != nil {
		return nil, fmt.Errorf("zone %s: %w", e.Key, err)
	}
	return text.Bytes(), nil
}

// ZoneText is the text of a zone of bucket records, wherever it is. A large
// one comes from disk, or from the dom where it is not there: see Object.
func (r *Replica) ZoneText(ctx context.Context, e Entry) ([]byte, error) {
	if !IsZoneReference(e.Value) {
		return e.Value, nil
	}
	ref, err := DecodeZoneReference(e.Value)
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", e.Key, err)
	}
	path, err := r.Object(ctx, subjects.ObjectZones, ref.Digest, ref.Size)
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", e.Key, err)
	}
	return os.ReadFile(path)
}
