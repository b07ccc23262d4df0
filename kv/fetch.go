package kv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

const (
	windowBytes  = 256 << 10 // asked for in one request
	windowFlight = 16        // requests under way: 4 MiB, for 200 ms at 20 MiB/s
	windowChunks = 2         // nats.go makes chunks of 128 KiB
	saveEvery    = 4 << 20   // bytes between two saves of the progress
)

// errors after which a transfer is not tried again by itself
var (
	errDiskFull = errors.New("disk full")
	errBytes    = errors.New("wrong bytes")
)

// Object returns the path of an object's bytes on disk, fetching them from the
// dom where they are not there. It tries for as long as ctx lasts while the
// dom is away, and goes on where a transfer was cut, even by a restart. It
// fails at once for an object that the dom does not have (ErrNotFound), whose
// bytes are not those of its digest or not size bytes (size 0: any), or that
// does not fit on the disk. One object is fetched at a time.
func (r *Replica) Object(ctx context.Context, kind, digest string, size int64) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("fetch object %s %.12s…: %w", kind, digest, err)
	}
	if !digestForm.MatchString(digest) {
		return fail(fmt.Errorf("%w: the digest is not a SHA-256 in hex", ErrInvalid))
	}
	b := r.blobs
	select {
	case b.one <- struct{}{}:
		defer func() { <-b.one }()
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	b.come(digest)
	defer b.come("")
	if b.has(digest) {
		return b.path(digest), nil
	}
	var again retry
	defer again.stop()
	for {
		err := r.fetch(ctx, kind, digest, size)
		switch {
		case err == nil:
			return b.path(digest), nil
		case ctx.Err() != nil:
			return fail(context.Cause(ctx))
		case errors.Is(err, ErrNotFound), errors.Is(err, errDiskFull), errors.Is(err, errBytes), errors.Is(err, os.ErrPermission):
			return fail(err)
		}
		r.log.Info("transfer is cut and goes on later", "kind", kind, "digest", digest, "err", err)
		again.later()
		select {
		case <-again.C():
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		}
	}
}

func (r *Replica) fetch(ctx context.Context, kind, digest string, size int64) error {
	nc, done, err := r.objectConn(ctx)
	if err != nil {
		return err
	}
	defer done()
	t := transfer{r: reader{nc}, b: r.blobs, kind: kind, digest: digest}
	return t.run(ctx, size)
}

func (r *Replica) objectConn(ctx context.Context) (*nats.Conn, func(), error) {
	if r.ObjectConn != nil {
		nc, err := r.ObjectConn(ctx)
		if err != nil {
			return nil, nil, err
		}
		if err := connected(ctx, nc); err != nil {
			nc.Close()
			return nil, nil, err
		}
		return nc, nc.Close, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nc == nil {
		return nil, nil, errors.New("the dom is not followed")
	}
	return r.nc, func() {}, nil
}

// connected waits until nc is connected.
func connected(ctx context.Context, nc *nats.Conn) error {
	status := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer nc.RemoveStatusListener(status)
	if nc.IsConnected() {
		return nil
	}
	select {
	case s := <-status:
		if s == nats.CONNECTED {
			return nil
		}
		return nats.ErrConnectionClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// transfer is one try to fetch an object.
type transfer struct {
	r            reader
	b            *blobs
	kind, digest string

	subject string // of the chunks
	info    objectInfo
	lastRev uint64 // of the last chunk
	inRow   bool   // no other message is between the chunks

	file  *os.File
	sum   hash.Hash
	at    progress
	saved int64
}

func (t *transfer) run(ctx context.Context, size int64) error {
	if err := t.look(ctx); err != nil {
		return err
	}
	if size > 0 && t.info.Size != size {
		return fmt.Errorf("%w: the dom has %d bytes, want %d", errBytes, t.info.Size, size)
	}
	if err := t.resume(); err != nil {
		return diskError(err)
	}
	defer t.file.Close()
	if err := t.b.room(t.info.Size - t.at.Offset); err != nil {
		return err
	}
	if err := t.copy(ctx); err != nil {
		return errors.Join(diskError(err), diskError(t.save()))
	}
	if got := hex.EncodeToString(t.sum.Sum(nil)); got != t.digest || t.at.Offset != t.info.Size {
		return errors.Join(fmt.Errorf("%w: %d bytes with digest %.12s… came", errBytes, t.at.Offset, got), t.b.drop(t.digest))
	}
	if err := t.file.Sync(); err != nil {
		return diskError(err)
	}
	return diskError(t.b.finish(t.digest))
}

func diskError(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", errDiskFull, err)
	}
	return err
}

// look reads what the object is and where its chunks are.
func (t *transfer) look(ctx context.Context) error {
	var err error
	if t.info, _, err = t.r.objectInfo(ctx, t.kind, t.digest); err != nil {
		return err
	}
	t.subject = chunkSubject(t.kind, t.info.NUID)
	t.at = progress{Digest: t.digest, NUID: t.info.NUID}
	if t.info.Chunks == 0 {
		return nil
	}
	stream := subjects.ObjectStream(t.kind)
	first, _, err := t.r.get(ctx, stream, getRequest{Seq: 1, NextFor: t.subject})
	if err != nil {
		return err
	}
	last, _, err := t.r.get(ctx, stream, getRequest{LastFor: t.subject})
	if err != nil {
		return err
	}
	if len(first) == 0 || len(last) == 0 {
		return fmt.Errorf("%w: its chunks are gone", ErrNotFound)
	}
	t.at.Revision, t.lastRev = first[0].revision-1, last[0].revision
	t.inRow = t.lastRev-first[0].revision+1 == uint64(t.info.Chunks)
	return nil
}

// resume opens the part, and takes up what an earlier transfer of the same
// upload brought.
func (t *transfer) resume() (err error) {
	t.sum = sha256.New()
	if t.file, err = os.OpenFile(t.b.path(t.digest)+partSuffix, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	was := t.b.readProgress(t.digest)
	if was.NUID == t.info.NUID && was.Offset > 0 && was.Offset <= t.info.Size {
		_, err := io.CopyN(t.sum, t.file, was.Offset)
		if err == nil {
			t.at, t.saved = was, was.Offset
			return t.file.Truncate(was.Offset)
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		t.sum.Reset() // fewer bytes than the progress says: from the start
	}
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return t.file.Truncate(0)
}

type window struct {
	msgs []message
	err  error
}

// copy fetches what is left, several windows at a time, and writes them in
// order. Memory is bounded by the windows under way.
func (t *transfer) copy(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	flight := windowFlight
	if !t.inRow {
		flight = 1
	}
	var queue []chan window
	ask := t.at.Revision + 1
	for t.at.Revision < t.lastRev {
		for ; len(queue) < flight && ask <= t.lastRev; ask += windowChunks {
			queue = append(queue, t.ask(ctx, &asking, ask))
		}
		w := <-queue[0]
		queue = queue[1:]
		if w.err != nil {
			return w.err
		}
		if err := t.write(w.msgs); err != nil {
			return err
		}
		if !t.inRow {
			ask = t.at.Revision + 1
		}
	}
	return nil
}

func (t *transfer) ask(ctx context.Context, asking *sync.WaitGroup, revision uint64) chan window {
	out := make(chan window, 1)
	req := getRequest{Seq: revision, NextFor: t.subject, Batch: windowChunks, MaxBytes: windowBytes + 4<<10}
	asking.Go(func() {
		msgs, _, err := t.r.get(ctx, subjects.ObjectStream(t.kind), req)
		if err == nil && len(msgs) == 0 {
			err = fmt.Errorf("%w: its chunks are gone", ErrNotFound)
		}
		out <- window{msgs, err}
	})
	return out
}

func (t *transfer) write(msgs []message) error {
	for _, m := range msgs {
		if m.subject != t.subject || m.revision <= t.at.Revision || t.inRow && m.revision != t.at.Revision+1 {
			return fmt.Errorf("chunk %d came after %d", m.revision, t.at.Revision)
		}
		if t.at.Offset+int64(len(m.value)) > t.info.Size {
			return fmt.Errorf("%w: more than %d bytes came", errBytes, t.info.Size)
		}
		if _, err := t.file.Write(m.value); err != nil {
			return err
		}
		t.sum.Write(m.value)
		t.at.Offset += int64(len(m.value))
		t.at.Revision = m.revision
	}
	if t.at.Offset-t.saved < saveEvery {
		return nil
	}
	return t.save()
}

// save makes what came durable, then says so in the progress.
func (t *transfer) save() error {
	if err := t.file.Sync(); err != nil {
		return err
	}
	t.saved = t.at.Offset
	return t.b.writeProgress(t.at)
}
