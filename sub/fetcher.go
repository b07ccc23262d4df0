package sub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"b8s/kv"
)

// fetcher brings the objects that zones refer to, one after the other, while
// the zones that are here are served. Safe for concurrent use.
type fetcher struct {
	replica *kv.Replica
	log     *slog.Logger
	wake    chan struct{} // buffered

	mu   sync.Mutex
	want map[string]int64 // size by digest
	kind string
}

// errFetching is returned while an object is on its way.
var errFetching = errors.New("its text is still being fetched")

// read is an object's bytes if it is on disk; else it is fetched, and read
// returns errFetching.
func (f *fetcher) read(kind, digest string, size int64) ([]byte, error) {
	if path, ok := f.replica.Blob(digest); ok {
		return os.ReadFile(path)
	}
	f.mu.Lock()
	f.want[digest], f.kind = size, kind
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return nil, fmt.Errorf("object %.12s…: %w", digest, errFetching)
}

// fetchPause is between two tries for what could not be fetched.
const fetchPause = 10 * time.Second

// Run fetches what is wanted as long as ctx lasts, and calls fetched after
// each object that came.
func (f *fetcher) Run(ctx context.Context, fetched func()) error {
	for {
		var again <-chan time.Time
		for digest, size := range f.wanted() {
			_, err := f.replica.Object(ctx, f.kind, digest, size)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				f.log.Error("fetch zone", "err", err)
				again = time.After(fetchPause)
				continue
			}
			f.drop(digest)
			fetched()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-again:
		}
	}
}

func (f *fetcher) wanted() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]int64, len(f.want))
	for digest, size := range f.want {
		out[digest] = size
	}
	return out
}

func (f *fetcher) drop(digest string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.want, digest)
}
