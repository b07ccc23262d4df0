package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

const (
	answerTime  = 10 * time.Second // until the next message of an answer
	batchKeys   = 512              // asked for in one request; the server takes 1,024
	batchBytes  = 1 << 20          // after which one answer ends
	batchFlight = 4                // requests under way
)

// reader reads streams without a consumer, the same way on dom and sub.
type reader struct{ nc *nats.Conn }

// message is one stored message.
type message struct {
	subject  string
	header   nats.Header
	value    []byte
	revision uint64
	created  time.Time
}

// streamState is what the server tells of a bucket's stream.
type streamState struct {
	Created time.Time
	Last    uint64
	Epoch   uint64
	Keys    []string // sorted
}

// metadataEpoch is the stream's metadata that holds the bucket's epoch.
const metadataEpoch = "b8s-epoch"

type infoAnswer struct {
	Error *struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	} `json:"error"`
	Total   int       `json:"total"`
	Offset  int       `json:"offset"`
	Limit   int       `json:"limit"`
	Created time.Time `json:"created"`
	Config  struct {
		Metadata map[string]string `json:"metadata"`
	} `json:"config"`
	State struct {
		Last     uint64            `json:"last_seq"`
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

// state reads a bucket's stream, with all keys where keys is true. It returns
// ErrNotFound when there is no such stream.
func (r reader) state(ctx context.Context, bucket string, keys bool) (streamState, error) {
	var st streamState
	for {
		a, err := r.info(ctx, bucket, keys, len(st.Keys))
		if err != nil {
			return st, err
		}
		if len(st.Keys) == 0 { // later pages don't move what was read at first
			st.Created, st.Last = a.Created, a.State.Last
			st.Epoch, _ = strconv.ParseUint(a.Config.Metadata[metadataEpoch], 10, 64)
		}
		for subject := range a.State.Subjects {
			if key, ok := subjects.StoredKey(bucket, subject); ok {
				st.Keys = append(st.Keys, key)
			}
		}
		if len(a.State.Subjects) == 0 || a.Offset+len(a.State.Subjects) >= a.Total {
			slices.Sort(st.Keys)
			return st, nil
		}
	}
}

func (r reader) info(ctx context.Context, bucket string, keys bool, offset int) (infoAnswer, error) {
	var a infoAnswer
	var ask []byte
	if keys {
		ask, _ = json.Marshal(map[string]any{"subjects_filter": subjects.StoredAll(bucket), "offset": offset})
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	msg, err := r.one(ctx, subjects.StreamInfo(subjects.Stream(bucket)), ask)
	if err != nil {
		return a, fmt.Errorf("state of bucket %s: %w", bucket, err)
	}
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		return a, fmt.Errorf("state of bucket %s: %w", bucket, err)
	}
	if a.Error != nil && a.Error.Code == 404 {
		return a, fmt.Errorf("bucket %s: %w on the dom", bucket, ErrNotFound)
	}
	if a.Error != nil {
		return a, fmt.Errorf("state of bucket %s: %s", bucket, a.Error.Description)
	}
	return a, nil
}

// one sends a request that has one answer, on an inbox of its own: the server
// forgets where replies go when the inbox does.
func (r reader) one(ctx context.Context, subject string, ask []byte) (*nats.Msg, error) {
	var got *nats.Msg
	err := r.each(ctx, subject, ask, func(m *nats.Msg) (bool, error) {
		got = m
		return true, nil
	})
	return got, err
}

// each sends a request and calls take with each message of the answer until it
// says that it was the last.
func (r reader) each(ctx context.Context, subject string, ask []byte, take func(*nats.Msg) (last bool, err error)) error {
	inbox := nats.NewInbox()
	sub, err := r.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := r.nc.PublishRequest(subject, inbox, ask); err != nil {
		return err
	}
	for {
		m, err := next(ctx, sub)
		if err != nil {
			return err
		}
		if m.Header.Get("Status") == "503" {
			return errors.New("nobody answers on the dom")
		}
		if last, err := take(m); last || err != nil {
			return err
		}
	}
}

func next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	wait, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m, err := sub.NextMsgWithContext(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		return nil, fmt.Errorf("no answer within %v", answerTime)
	}
	return m, err
}

// getRequest is the body of a DIRECT.GET.
type getRequest struct {
	Seq       uint64   `json:"seq,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpToSeq   uint64   `json:"up_to_seq,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
}

// get sends one DIRECT.GET, and returns its messages and how many the server
// still has after them. Nothing there is no error.
func (r reader) get(ctx context.Context, stream string, req getRequest) (got []message, pending uint64, err error) {
	ask, err := json.Marshal(req)
	if err != nil {
		return nil, 0, err
	}
	err = r.each(ctx, subjects.DirectGet(stream), ask, func(m *nats.Msg) (bool, error) {
		switch status := m.Header.Get("Status"); status {
		case "":
			msg, err := parseMessage(m)
			got = append(got, msg)
			return req.Batch == 0 && req.MultiLast == nil, err
		case "204":
			pending, err = strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
			return true, err
		case "404":
			return true, nil
		default:
			return true, fmt.Errorf("%s %s", status, m.Header.Get("Description"))
		}
	})
	return got, pending, err
}

func parseMessage(m *nats.Msg) (message, error) {
	revision, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return message{}, fmt.Errorf("message without a sequence: %w", err)
	}
	created, _ := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	return message{
		subject: m.Header.Get("Nats-Subject"), header: m.Header,
		value: m.Data, revision: revision, created: created,
	}, nil
}

// last reads the newest message of each key as of revision upTo, by explicit
// names. A key without one is left out.
func (r reader) last(ctx context.Context, bucket string, keys []string, upTo uint64) ([]message, error) {
	parts := slices.Collect(slices.Chunk(keys, batchKeys))
	out := make([][]message, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchFlight)
	for i, part := range parts {
		g.Go(func() (err error) {
			out[i], err = r.lastOf(ctx, bucket, part, upTo)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", bucket, err)
	}
	return slices.Concat(out...), nil
}

// lastOf asks again for the names that are left, for as long as the server
// says that it has more.
func (r reader) lastOf(ctx context.Context, bucket string, keys []string, upTo uint64) ([]message, error) {
	left := make(map[string]bool, len(keys))
	for _, key := range keys {
		left[subjects.Stored(bucket, key)] = true
	}
	var all []message
	for {
		req := getRequest{UpToSeq: upTo, MaxBytes: batchBytes}
		for _, key := range keys {
			if s := subjects.Stored(bucket, key); left[s] {
				req.MultiLast = append(req.MultiLast, s)
			}
		}
		got, pending, err := r.get(ctx, subjects.Stream(bucket), req)
		if err != nil {
			return nil, err
		}
		for _, m := range got {
			delete(left, m.subject)
		}
		all = append(all, got...)
		if pending == 0 || len(left) == 0 {
			return all, nil
		}
		if len(got) == 0 {
			return nil, fmt.Errorf("%d messages are pending and none comes", pending)
		}
	}
}

// entries turns messages of a bucket into entries.
func entries(bucket string, msgs []message) []Entry {
	out := make([]Entry, 0, len(msgs))
	for _, m := range msgs {
		if key, ok := subjects.StoredKey(bucket, m.subject); ok {
			out = append(out, parseEntry(bucket, key, m.header, m.value, m.revision, m.created))
		}
	}
	return out
}
