package kv

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"b8s/subjects"
)

func someImage() image {
	im := image{epoch: 3, created: 99, revision: 12, keys: map[string]held{}}
	add := func(key string, value []byte, revision uint64) {
		e := Entry{Bucket: subjects.Hosts, Key: key, Value: value, Revision: revision, Epoch: 3,
			Digest: Digest(value), Schema: 1, Created: time.Unix(1700000000, 5).UTC(), name: key}
		im.keys[key] = held{good: &e, revision: revision, digest: e.Digest}
	}
	add("www", []byte("one\ntwo\n"), 5)
	add("empty", []byte{}, 6)
	im.keys["gone"] = held{revision: 7, digest: Digest(nil), deleted: true}
	add("bad", []byte("the good one"), 8)
	k := im.keys["bad"]
	k.revision, k.digest = 9, Digest([]byte("x"))
	k.fault = &KeyFault{Key: "bad", Revision: 9, Reason: "it is bad", Since: time.Unix(1700000001, 0).UTC()}
	im.keys["bad"] = k
	return im
}

func written(t testing.TB, im image) []byte {
	var b bytes.Buffer
	must(t, im.write(&b, subjects.Hosts))
	return b.Bytes()
}

func TestSnapshotFileIsReadAsWritten(t *testing.T) {
	want := someImage()
	got, err := readImage(bytes.NewReader(written(t, want)), subjects.Hosts)
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if _, err := readImage(bytes.NewReader(written(t, want)), subjects.Records); err == nil {
		t.Fatal("another bucket's file is taken")
	}
}

func TestSnapshotFileThatIsCutOrChangedIsRefused(t *testing.T) {
	whole := written(t, someImage())
	for n := range whole {
		if _, err := readImage(bytes.NewReader(whole[:n]), subjects.Hosts); err == nil {
			t.Fatalf("the first %d of %d bytes are taken", n, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[n] ^= 1
		if _, err := readImage(bytes.NewReader(changed), subjects.Hosts); err == nil {
			t.Fatalf("a change of byte %d is taken: %q", n, changed)
		}
	}
}

func FuzzSnapshotFile(f *testing.F) {
	f.Add(written(f, someImage()))
	f.Add([]byte(`{"b8s_snapshot":1,"bucket":"hosts","keys":1}` + "\n" + `{"key":"a","good":{"size":2000000000}}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := readImage(bytes.NewReader(b), subjects.Hosts)
		if err != nil {
			return
		}
		again, err := readImage(bytes.NewReader(written(t, im)), subjects.Hosts)
		if err != nil || len(again.keys) != len(im.keys) {
			t.Fatalf("what was read is not read again: %v", err)
		}
	})
}

// The rule of acceptance, case by case.
func TestAcceptanceOfAFullRead(t *testing.T) {
	const a, b = "digest-a", "digest-b"
	holds := func(epoch uint64, keys map[string]held) image { return image{epoch: epoch, keys: keys} }
	offer := func(list ...Entry) map[string]Entry {
		m := map[string]Entry{}
		for _, e := range list {
			m[e.Key] = e
		}
		return m
	}
	at := func(key string, revision uint64, digest string) Entry {
		return Entry{Key: key, Revision: revision, Digest: digest}
	}
	www5 := map[string]held{"www": {revision: 5, digest: a}}
	two := map[string]held{"www": {revision: 5, digest: a}, "blog": {revision: 6, digest: a, deleted: true}}
	cases := []struct {
		name  string
		held  image
		epoch uint64
		offer map[string]Entry
		words string // empty: accepted
	}{
		{"nothing held", holds(0, nil), 1, offer(at("www", 1, a)), ""},
		{"nothing held, nothing offered", holds(0, nil), 1, nil, ""},
		{"same", holds(1, www5), 1, offer(at("www", 5, a)), ""},
		{"later revision", holds(1, www5), 1, offer(at("www", 6, b)), ""},
		{"new key", holds(1, www5), 1, offer(at("www", 5, a), at("x", 1, b)), ""},
		{"marker comes back", holds(1, two), 1, offer(at("www", 5, a), at("blog", 6, a)), ""},
		{"higher epoch with nothing", holds(1, two), 2, nil, ""},
		{"higher epoch with lower revisions", holds(1, two), 2, offer(at("www", 1, b)), ""},
		{"lower epoch with all", holds(2, www5), 1, offer(at("www", 9, a)), "offers epoch 1, epoch 2 is held"},
		{"no epoch", holds(0, nil), 0, nil, "no epoch"},
		{"key missing", holds(1, www5), 1, offer(at("x", 9, a)), "key www is held at revision 5, and the dom does not have it"},
		{"marker missing", holds(1, two), 1, offer(at("www", 5, a)), "key blog is held at revision 6"},
		{"lower revision", holds(1, www5), 1, offer(at("www", 4, a)), "held at revision 5, and the dom offers 4"},
		{"same revision, other digest", holds(1, www5), 1, offer(at("www", 5, b)), "with digest digest-a"},
		{"several keys", holds(1, two), 1, nil, "and 1 more keys"},
	}
	for _, c := range cases {
		err := c.held.accept(c.epoch, c.offer)
		if (c.words == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", c.name, err, c.words)
		}
	}
}

func TestSnapshotGet(t *testing.T) {
	var s Snapshot
	for i := range 100 {
		s.Entries = append(s.Entries, Entry{Key: fmt.Sprintf("%03d", 2*i), Revision: uint64(i)})
	}
	for i := range 100 {
		if e, ok := s.Get(fmt.Sprintf("%03d", 2*i)); !ok || e.Revision != uint64(i) {
			t.Fatalf("%d: %+v", i, e)
		}
		if _, ok := s.Get(fmt.Sprintf("%03d", 2*i+1)); ok {
			t.Fatalf("%d is there", 2*i+1)
		}
	}
}
