package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"b8s/subjects"
)

// Force makes every sub take the bucket as it is here, whatever it holds: it
// raises the epoch to max(now in Unix seconds, highest + 1), where highest is
// the highest epoch that any sub reported, and puts each entry anew under it.
// It returns the new epoch. Cut at any point, it is finished by the next
// NewStore on the same EpochFile.
func (s *Store) Force(ctx context.Context, bucket string, highest uint64) (uint64, error) {
	if b, ok := subjects.LookupBucket(bucket); !ok || !b.Used {
		return 0, fmt.Errorf("force bucket %s: %w: no such bucket", bucket, ErrInvalid)
	}
	s.force.Lock()
	defer s.force.Unlock()
	s.mu.Lock()
	known := max(s.heads[bucket].Epoch, s.epochs.Epochs[bucket])
	s.mu.Unlock()
	epoch := max(uint64(time.Now().Unix()), highest+1, known+1)
	err := s.epochs.set(func(e *epochs) { e.Epochs[bucket], e.Forcing[bucket] = epoch, epoch })
	if err == nil {
		err = s.raise(ctx, bucket, epoch)
	}
	if err != nil {
		return 0, fmt.Errorf("force bucket %s: %w", bucket, err)
	}
	return epoch, nil
}

// raise gives the stream its new epoch first, so that a sub which reads
// between accepts what it finds, then puts each entry anew.
func (s *Store) raise(ctx context.Context, bucket string, epoch uint64) error {
	st, err := s.js.Stream(ctx, subjects.Stream(bucket))
	if err != nil {
		return err
	}
	c := st.CachedInfo().Config
	c.Metadata[metadataEpoch] = strconv.FormatUint(epoch, 10)
	if _, err := s.js.UpdateStream(ctx, c); err != nil {
		return err
	}
	s.mu.Lock()
	h := s.heads[bucket]
	h.Epoch = epoch
	s.heads[bucket] = h
	s.mu.Unlock()
	all, err := s.Entries(ctx, bucket)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Epoch >= epoch {
			continue
		}
		// An entry that is not valid (put by hand) stays as it is, and a fault
		// of its key on the subs.
		if _, err := s.putLocked(ctx, e, &e.Revision); err != nil && !errors.Is(err, ErrChanged) && !errors.Is(err, ErrInvalid) {
			return err
		}
	}
	return s.epochs.set(func(e *epochs) { delete(e.Forcing, bucket) })
}

func sortEntries(all []Entry) []Entry {
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return all
}
