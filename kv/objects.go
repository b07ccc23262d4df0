package kv

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go/jetstream"
)

// Object is one object: its name is the SHA-256 of its bytes, in hex.
type Object struct {
	Kind    string    `json:"kind"`
	Digest  string    `json:"digest"`
	Size    int64     `json:"size"` // bytes
	Created time.Time `json:"created"`
}

// objectInfo is what an object store keeps of an object, as nats.go writes it.
type objectInfo struct {
	Name    string `json:"name"`
	NUID    string `json:"nuid"`
	Size    int64  `json:"size"`
	Chunks  int    `json:"chunks"`
	Digest  string `json:"digest"`
	Deleted bool   `json:"deleted"`
}

func metaSubject(kind, digest string) string {
	return "$O." + kind + ".M." + base64.URLEncoding.EncodeToString([]byte(digest))
}

func chunkSubject(kind, nuid string) string { return "$O." + kind + ".C." + nuid }

// usable says whether the object is whole and is what its name says.
func (o objectInfo) usable() bool {
	sum, err := hex.DecodeString(o.Name)
	return err == nil && !o.Deleted && o.Digest == "SHA-256="+base64.URLEncoding.EncodeToString(sum)
}

// objectInfo reads what is kept of an object; ErrNotFound without a whole one.
func (r reader) objectInfo(ctx context.Context, kind, digest string) (objectInfo, time.Time, error) {
	var o objectInfo
	got, _, err := r.get(ctx, subjects.ObjectStream(kind), getRequest{LastFor: metaSubject(kind, digest)})
	if err != nil {
		return o, time.Time{}, err
	}
	if len(got) == 0 {
		return o, time.Time{}, ErrNotFound
	}
	if err := json.Unmarshal(got[0].value, &o); err != nil {
		return o, time.Time{}, err
	}
	if !o.usable() || o.Name != digest {
		return o, time.Time{}, ErrNotFound
	}
	return o, got[0].created, nil
}

// openKind opens an object store, and takes away the chunks of uploads that
// were cut.
func (s *Store) openKind(ctx context.Context, k subjects.Kind) error {
	st, err := s.openStream(ctx, jetstream.StreamConfig{
		Name:        subjects.ObjectStream(k.Name),
		Subjects:    []string{"$O." + k.Name + ".C.>", "$O." + k.Name + ".M.>"},
		MaxBytes:    s.opts.MaxStore / 1000 * int64(k.Share),
		Discard:     jetstream.DiscardNew,
		AllowRollup: true, // an object's metadata replaces the one before
		AllowDirect: true,
	})
	if err != nil {
		return err
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter("$O."+k.Name+".C.>"))
	if err != nil || len(info.State.Subjects) == 0 {
		return err
	}
	store, err := s.js.ObjectStore(ctx, k.Name)
	if err != nil {
		return err
	}
	whole, err := listObjects(ctx, store)
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		if !slices.ContainsFunc(whole, func(o *jetstream.ObjectInfo) bool { return chunkSubject(k.Name, o.NUID) == subject }) {
			s.log.Info("remove a cut upload", "kind", k.Name, "subject", subject)
			if err := st.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return err
			}
		}
	}
	return nil
}

func listObjects(ctx context.Context, store jetstream.ObjectStore) ([]*jetstream.ObjectInfo, error) {
	list, err := store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	return list, err
}

// PutObject stores the bytes of r, read from where it stands, as an object and
// returns it. Where an object of that digest is there already nothing is
// stored. Cut at any point, nothing that can be read is left behind.
func (s *Store) PutObject(ctx context.Context, kind string, r io.ReadSeeker) (Object, error) {
	fail := func(err error) (Object, error) { return Object{}, fmt.Errorf("put object %s: %w", kind, err) }
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return fail(err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return fail(err)
	}
	digest := hex.EncodeToString(h.Sum(nil))
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return fail(err)
	}
	s.objects.Lock()
	defer s.objects.Unlock()
	if o, err := s.ObjectInfo(ctx, kind, digest); err == nil {
		return o, nil
	} else if !errors.Is(err, ErrNotFound) {
		return fail(err)
	}
	store, err := s.js.ObjectStore(ctx, kind)
	if err != nil {
		return fail(err)
	}
	if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: digest}, r); err != nil {
		return fail(putError(err))
	}
	o, err := s.ObjectInfo(ctx, kind, digest)
	if err != nil { // its bytes changed while they were read
		return fail(errors.Join(err, store.Delete(ctx, digest)))
	}
	return o, nil
}

// ObjectInfo returns an object without its bytes, or ErrNotFound.
func (s *Store) ObjectInfo(ctx context.Context, kind, digest string) (Object, error) {
	o, created, err := s.r.objectInfo(ctx, kind, digest)
	if err != nil {
		return Object{}, fmt.Errorf("object %s %.12s…: %w", kind, digest, err)
	}
	return Object{Kind: kind, Digest: digest, Size: o.Size, Created: created}, nil
}

// GetObject writes an object's bytes to w, and fails where they are not those
// of its digest.
func (s *Store) GetObject(ctx context.Context, kind, digest string, w io.Writer) error {
	fail := func(err error) error { return fmt.Errorf("get object %s %.12s…: %w", kind, digest, err) }
	if _, err := s.ObjectInfo(ctx, kind, digest); err != nil {
		return err
	}
	store, err := s.js.ObjectStore(ctx, kind)
	if err != nil {
		return fail(err)
	}
	r, err := store.Get(ctx, digest)
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return fail(err)
	}
	return nil
}

// DeleteObject removes an object. One that is not there is no error.
func (s *Store) DeleteObject(ctx context.Context, kind, digest string) error {
	store, err := s.js.ObjectStore(ctx, kind)
	if err == nil {
		err = store.Delete(ctx, digest)
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("delete object %s %.12s…: %w", kind, digest, err)
	}
	return nil
}

// Objects lists the objects of a kind by digest.
func (s *Store) Objects(ctx context.Context, kind string) ([]Object, error) {
	store, err := s.js.ObjectStore(ctx, kind)
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", kind, err)
	}
	list, err := listObjects(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", kind, err)
	}
	var out []Object
	for _, o := range list {
		out = append(out, Object{Kind: kind, Digest: o.Name, Size: int64(o.Size), Created: o.ModTime})
	}
	slices.SortFunc(out, func(a, b Object) int { return strings.Compare(a.Digest, b.Digest) })
	return out, nil
}
