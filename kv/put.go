package kv

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Put validates value and stores it under key. The error wraps ErrInvalid for
// a value that can't be served.
func (s *Store) Put(ctx context.Context, bucket, key string, value []byte) (Entry, error) {
	return s.put(ctx, Entry{Bucket: bucket, Key: key, Value: value}, nil)
}

// Update is Put for a key whose newest revision is as given, 0 for a key that
// never was; else it returns ErrChanged and stores nothing.
func (s *Store) Update(ctx context.Context, bucket, key string, value []byte, revision uint64) (Entry, error) {
	return s.put(ctx, Entry{Bucket: bucket, Key: key, Value: value}, &revision)
}

// Delete puts a marker over key. A key that is not there gets one too.
func (s *Store) Delete(ctx context.Context, bucket, key string) (Entry, error) {
	return s.put(ctx, Entry{Bucket: bucket, Key: key, Deleted: true}, nil)
}

func (s *Store) put(ctx context.Context, e Entry, expected *uint64) (Entry, error) {
	s.force.RLock()
	defer s.force.RUnlock()
	return s.putLocked(ctx, e, expected)
}

// putLocked is put for one who holds s.force.
func (s *Store) putLocked(ctx context.Context, e Entry, expected *uint64) (Entry, error) {
	act := "put"
	if e.Deleted {
		act = "delete"
	}
	fail := func(err error) (Entry, error) {
		return Entry{}, fmt.Errorf("%s %s %s: %w", act, e.Bucket, e.Key, err)
	}
	if e.Deleted {
		if b, ok := subjects.LookupBucket(e.Bucket); !ok || !b.Used {
			return fail(fmt.Errorf("%w: no such bucket", ErrInvalid))
		} else if err := validKey(b, e.Key); err != nil {
			return fail(err)
		}
	} else if err := Validate(e.Bucket, e.Key, e.Value); err != nil {
		return fail(err)
	}
	e.Epoch, e.Digest, e.Schema, e.Created = s.Epoch(e.Bucket), Digest(e.Value), majorSchema, time.Now()
	m := nats.NewMsg(subjects.Stored(e.Bucket, e.Key))
	m.Header, m.Data = e.header(), e.Value
	if expected != nil {
		m.Header.Set(headerExpected, strconv.FormatUint(*expected, 10))
	}
	ack, err := s.publish(ctx, e.Bucket, m)
	if err != nil {
		return fail(putError(err))
	}
	e.Revision = ack.Sequence
	s.advance(e.Bucket, e.Revision)
	return e, nil
}

// publish stores m, through a restart of the bus in place: it waits for the
// connection, and makes a bucket anew that is kept in memory and went with the
// old one.
func (s *Store) publish(ctx context.Context, bucket string, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	b, _ := subjects.LookupBucket(bucket)
	for {
		ack, err := s.js.PublishMsg(ctx, m)
		switch {
		case errors.Is(err, nats.ErrReconnectBufExceeded): // nothing was sent
			err = connected(ctx, s.nc)
		case b.Memory && errors.Is(err, jetstream.ErrNoStreamResponse):
			err = s.openBucket(ctx, b)
		default:
			return ack, err
		}
		if err != nil {
			return nil, err
		}
	}
}

// publishTime bounds one put.
const publishTime = 10 * time.Second

// putError tells the operator what the store's refusal means.
func putError(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return ErrChanged
	case 10077: // "maximum bytes exceeded" and its like, with the reason in words
		return fmt.Errorf("the bucket's share of the store is full (%s): give the store more space", api.Description)
	}
	return err
}

// Get returns the newest revision of key. For a deleted key it returns the
// marker with ErrNotFound, for one that never was ErrNotFound alone.
func (s *Store) Get(ctx context.Context, bucket, key string) (Entry, error) {
	got, _, err := s.r.get(ctx, subjects.Stream(bucket), getRequest{LastFor: subjects.Stored(bucket, key)})
	if err != nil {
		return Entry{}, fmt.Errorf("get %s %s: %w", bucket, key, err)
	}
	all := entries(bucket, got)
	if len(all) == 0 {
		return Entry{}, fmt.Errorf("get %s %s: %w", bucket, key, ErrNotFound)
	}
	if all[0].Deleted {
		return all[0], fmt.Errorf("get %s %s: %w: it was deleted", bucket, key, ErrNotFound)
	}
	return all[0], nil
}

// Entries returns the newest revision of each key, markers of deleted ones
// included, by key.
func (s *Store) Entries(ctx context.Context, bucket string) ([]Entry, error) {
	st, err := s.r.state(ctx, bucket, true)
	if err != nil {
		return nil, err
	}
	msgs, err := s.r.last(ctx, bucket, st.Keys, st.Last)
	if err != nil {
		return nil, err
	}
	return sortEntries(entries(bucket, msgs)), nil
}

// History returns the kept revisions of key, the oldest first, markers
// included.
func (s *Store) History(ctx context.Context, bucket, key string) ([]Entry, error) {
	var all []Entry
	req := getRequest{Seq: 1, NextFor: subjects.Stored(bucket, key), Batch: 64, MaxBytes: 4 << 20}
	for {
		got, pending, err := s.r.get(ctx, subjects.Stream(bucket), req)
		if err != nil {
			return nil, fmt.Errorf("history of %s %s: %w", bucket, key, err)
		}
		all = append(all, entries(bucket, got)...)
		if pending == 0 || len(got) == 0 {
			return all, nil
		}
		req.Seq = got[len(got)-1].revision + 1
	}
}

// Digest is the SumDigest of what the bucket has, as a sub that serves all of
// it reports.
func (s *Store) Digest(ctx context.Context, bucket string) (string, error) {
	all, err := s.Entries(ctx, bucket)
	if err != nil {
		return "", err
	}
	digests := map[string]string{}
	for _, e := range all {
		if !e.Deleted {
			digests[e.Key] = e.Digest
		}
	}
	return SumDigest(digests), nil
}
