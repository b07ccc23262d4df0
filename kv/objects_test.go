package kv

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"b8s/subjects"
	"b8s/zonefile"
)

// random is a file of size bytes and its digest.
func random(t testing.TB, size int) ([]byte, string) {
	b := make([]byte, size)
	rand.Read(b)
	return b, Digest(b)
}

func (l *lab) object(kind string, b []byte) Object {
	l.t.Helper()
	o, err := l.store.PutObject(context.Background(), kind, bytes.NewReader(b))
	must(l.t, err)
	return o
}

func TestObjectReachesReplica(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	for _, size := range []int{0, 1, 128 << 10, 128<<10 + 1, 5<<20 + 77} {
		b, digest := random(t, size)
		if o := l.object(subjects.ObjectGeoLite, b); o.Digest != digest || o.Size != int64(size) {
			t.Fatalf("put: %+v", o)
		}
		path, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, int64(size))
		must(t, err)
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, b) || filepath.Base(path) != "sha256-"+digest {
			t.Fatalf("%d bytes: %s has %d others", size, path, len(got))
		}
		if p, ok := n.Blob(digest); !ok || p != path {
			t.Fatalf("blob: %s, %v", p, ok)
		}
	}
}

func TestObjectIsPutOnce(t *testing.T) {
	l := newLab(t)
	b, digest := random(t, 300<<10)
	first := l.object(subjects.ObjectGeoLite, b)
	st, err := l.store.js.Stream(t.Context(), subjects.ObjectStream(subjects.ObjectGeoLite))
	must(t, err)
	before := st.CachedInfo().State.LastSeq
	if again := l.object(subjects.ObjectGeoLite, b); again.Created != first.Created {
		t.Fatalf("first %+v, again %+v", first, again)
	}
	info, err := st.Info(t.Context())
	must(t, err)
	if info.State.LastSeq != before {
		t.Fatalf("sequence %d, was %d", info.State.LastSeq, before)
	}
	store, err := l.store.js.ObjectStore(t.Context(), subjects.ObjectGeoLite) // as `nats object get`
	must(t, err)
	if got, err := store.GetBytes(t.Context(), digest); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("nats.go reads %d bytes, %v", len(got), err)
	}
	list, err := l.store.Objects(t.Context(), subjects.ObjectGeoLite)
	if err != nil || len(list) != 1 || list[0].Digest != digest {
		t.Fatalf("list: %+v, %v", list, err)
	}
	must(t, l.store.DeleteObject(t.Context(), subjects.ObjectGeoLite, digest))
	must(t, l.store.DeleteObject(t.Context(), subjects.ObjectGeoLite, digest))
	if _, err := l.store.ObjectInfo(t.Context(), subjects.ObjectGeoLite, digest); !errors.Is(err, ErrNotFound) {
		t.Fatalf("deleted: %v", err)
	}
}

func TestCutUploadLeavesNothing(t *testing.T) {
	l := newLab(t)
	b, digest := random(t, 300<<10)
	for i := 0; i < len(b); i += 128 << 10 { // the chunks, and never the metadata
		_, err := l.store.js.Publish(t.Context(), "$O.geolite.C.cut", b[i:min(i+128<<10, len(b))])
		must(t, err)
	}
	if _, err := l.store.ObjectInfo(t.Context(), subjects.ObjectGeoLite, digest); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a cut upload: %v", err)
	}
	keep, _ := random(t, 10)
	kept := l.object(subjects.ObjectGeoLite, keep)
	l.restart(func() {})
	st, err := l.store.js.Stream(t.Context(), subjects.ObjectStream(subjects.ObjectGeoLite))
	must(t, err)
	if n := st.CachedInfo().State.Msgs; n != 2 {
		t.Fatalf("%d messages after a restart, want the 2 of the whole object", n)
	}
	_, err = l.store.ObjectInfo(t.Context(), subjects.ObjectGeoLite, kept.Digest)
	must(t, err)
}

func TestCutTransferGoesOn(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	b, digest := random(t, 20<<20)
	o := l.object(subjects.ObjectGeoLite, b)
	part := n.blobs.path(digest) + partSuffix
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := n.Object(ctx, subjects.ObjectGeoLite, digest, o.Size)
		done <- err
	}()
	for info, err := os.Stat(part); err != nil || info.Size() < 6<<20; info, err = os.Stat(part) {
		select {
		case err := <-done:
			t.Fatalf("it ended before it was cut: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("cut: %v", err)
	}
	at := n.blobs.readProgress(digest)
	if at.Offset < 4<<20 || at.Offset >= o.Size {
		t.Fatalf("progress %+v", at)
	}
	n.stop()
	n.open()
	n.start()
	n.ObjectConn = nil
	n.awaitState("connected", subjects.Hosts, func(st BucketStatus) bool { return n.nc.IsConnected() })
	path, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, o.Size)
	must(t, err)
	got, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, b) {
		t.Fatal("other bytes after a cut")
	}
	moved := int64(n.nc.Stats().InBytes)
	if left := o.Size - at.Offset; moved > left+2<<20 {
		t.Fatalf("%d bytes came for the %d that were left", moved, left)
	}
}

func TestWrongBytesAreNotKept(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	_, digest := random(t, 1<<20)
	// A dom that is broken, or hostile: right metadata over other chunks.
	other, _ := random(t, 1<<20)
	for i := 0; i < len(other); i += 128 << 10 {
		_, err := l.store.js.Publish(t.Context(), chunkSubject(subjects.ObjectGeoLite, "evil"), other[i:i+128<<10])
		must(t, err)
	}
	sum, err := hex.DecodeString(digest)
	must(t, err)
	meta, err := json.Marshal(objectInfo{Name: digest, NUID: "evil", Size: 1 << 20, Chunks: 8,
		Digest: "SHA-256=" + base64.URLEncoding.EncodeToString(sum)})
	must(t, err)
	_, err = l.store.js.Publish(t.Context(), metaSubject(subjects.ObjectGeoLite, digest), meta)
	must(t, err)
	if _, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 1<<20); !errors.Is(err, errBytes) {
		t.Fatalf("got %v", err)
	}
	if _, ok := n.Blob(digest); ok {
		t.Fatal("wrong bytes are there to be used")
	}
	left, err := os.ReadDir(n.blobs.dir)
	must(t, err)
	if len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
	if _, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 5); !errors.Is(err, errBytes) {
		t.Fatalf("another size than announced: %v", err)
	}
	if err := l.store.GetObject(t.Context(), subjects.ObjectGeoLite, digest, io.Discard); err == nil {
		t.Fatal("the dom itself reads wrong bytes")
	}
}

func TestObjectThatIsNotThere(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	_, digest := random(t, 10)
	if _, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 0); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if _, err := n.Object(t.Context(), subjects.ObjectGeoLite, "../../etc/passwd", 0); !errors.Is(err, ErrInvalid) {
		t.Fatalf("a path as a digest: %v", err)
	}
}

func TestChunksWithOthersBetweenThem(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	b, digest := random(t, 1<<20)
	for i := 0; i < len(b); i += 128 << 10 {
		_, err := l.store.js.Publish(t.Context(), chunkSubject(subjects.ObjectGeoLite, "one"), b[i:i+128<<10])
		must(t, err)
		_, err = l.store.js.Publish(t.Context(), chunkSubject(subjects.ObjectGeoLite, "two"), []byte("between"))
		must(t, err)
	}
	sum, err := hex.DecodeString(digest)
	must(t, err)
	meta, err := json.Marshal(objectInfo{Name: digest, NUID: "one", Size: 1 << 20, Chunks: 8,
		Digest: "SHA-256=" + base64.URLEncoding.EncodeToString(sum)})
	must(t, err)
	_, err = l.store.js.Publish(t.Context(), metaSubject(subjects.ObjectGeoLite, digest), meta)
	must(t, err)
	path, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 1<<20)
	must(t, err)
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func TestTransferLivesThroughARestartOfTheDom(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	b, digest := random(t, 30<<20)
	o := l.object(subjects.ObjectGeoLite, b)
	done := make(chan error, 1)
	go func() {
		_, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, o.Size)
		done <- err
	}()
	part := n.blobs.path(digest) + partSuffix
	for info, err := os.Stat(part); err != nil || info.Size() < 2<<20; info, err = os.Stat(part) {
		select {
		case err := <-done:
			t.Fatalf("it ended before the restart: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	l.restart(func() {})
	must(t, <-done)
}

func TestPruneKeepsWhatIsWanted(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	var digests []string
	for range 3 {
		b, digest := random(t, 1000)
		l.object(subjects.ObjectGeoLite, b)
		_, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 0)
		must(t, err)
		digests = append(digests, digest)
	}
	must(t, os.WriteFile(n.blobs.path(digests[0])+"x"+partSuffix, nil, 0o600))
	must(t, n.Prune(digests[1]))
	for i, digest := range digests {
		if _, ok := n.Blob(digest); ok != (i == 1) {
			t.Errorf("blob %d: there %v", i, ok)
		}
	}
	if left, _ := os.ReadDir(n.blobs.dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestLargeZoneIsAnObject(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	var text bytes.Buffer
	text.Write(zoneText("example.com.", 9))
	for i := 0; text.Len() < MaxZoneText+1000; i++ {
		fmt.Fprintf(&text, "host-%d.example.com.\t60\tIN\tA\t192.0.2.%d\n", i, i%250)
	}
	z, err := zonefile.Parse("example.com.", text.Bytes(), "test")
	must(t, err)
	e, err := l.store.PutZone(t.Context(), z)
	must(t, err)
	ref, err := DecodeZoneReference(e.Value)
	must(t, err)
	if ref.Serial != 9 || ref.Records != len(z.Records) {
		t.Fatalf("reference %+v", ref)
	}
	s := n.awaitRevision(subjects.Records, e.Revision)
	got, _ := s.Get("example.com")
	for who, read := range map[string]func(context.Context, Entry) ([]byte, error){"dom": l.store.ZoneText, "sub": n.ZoneText} {
		if b, err := read(t.Context(), got); err != nil || !bytes.Equal(b, z.Text()) {
			t.Errorf("%s reads %d bytes, %v", who, len(b), err)
		}
	}
	small, err := zonefile.Parse("example.org.", zoneText("example.org.", 1), "test")
	must(t, err)
	e, err = l.store.PutZone(t.Context(), small)
	must(t, err)
	if IsZoneReference(e.Value) {
		t.Fatal("a small zone is an object")
	}
}
