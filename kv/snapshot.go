package kv

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"sort"
	"strings"
	"time"

	"b8s/subjects"
)

// Snapshot is the state of one bucket at one revision, as it is to be served.
// It never changes; nothing in it may be written to.
type Snapshot struct {
	Bucket   string
	Epoch    uint64 // 0: the sub never read this bucket
	Revision uint64
	Entries  []Entry    // by key; the last good value of each key, no markers
	Faults   []KeyFault // by key; keys whose newest value is not in Entries
}

// Get returns the entry of key.
func (s Snapshot) Get(key string) (Entry, bool) {
	i := sort.Search(len(s.Entries), func(i int) bool { return s.Entries[i].Key >= key })
	if i < len(s.Entries) && s.Entries[i].Key == key {
		return s.Entries[i], true
	}
	return Entry{}, false
}

// held is what a replica has of one key.
type held struct {
	good     *Entry    // what is served; nil: nothing
	revision uint64    // the newest that was accepted, served or not
	digest   string    // of that revision
	deleted  bool      // that revision is a marker
	fault    *KeyFault // why that revision is not served
}

// judge is what a replica has of a key after e came, with prev before it.
func judge(prev held, e Entry, now time.Time) held {
	next := held{revision: e.Revision, digest: e.Digest, deleted: e.Deleted}
	if e.Deleted {
		return next
	}
	err := e.check()
	if err == nil {
		next.good = &e
		return next
	}
	next.good = prev.good
	next.fault = &KeyFault{Key: e.Key, Revision: e.Revision, Reason: err.Error(), Since: now}
	if prev.fault != nil {
		next.fault.Since = prev.fault.Since
	}
	return next
}

// image is the state of a bucket as it is kept on disk.
type image struct {
	epoch    uint64
	created  int64 // of the stream, Unix nanoseconds
	revision uint64
	keys     map[string]held
}

// A snapshot file is a line of JSON about the bucket, then for each key a line
// of JSON and the value's bytes with a line's end, then the SHA-256 over all
// of that.
const (
	snapshotForm = 1
	maxSnapshot  = 1 << 31 // bytes of one value that is believed
)

type fileHead struct {
	Form     int    `json:"b8s_snapshot"`
	Bucket   string `json:"bucket"`
	Epoch    uint64 `json:"epoch"`
	Created  int64  `json:"created"`
	Revision uint64 `json:"revision"`
	Keys     int    `json:"keys"`
}

type fileKey struct {
	Key      string    `json:"key"`
	Revision uint64    `json:"revision"`
	Digest   string    `json:"digest"`
	Deleted  bool      `json:"deleted,omitempty"`
	Fault    *KeyFault `json:"fault,omitempty"`
	Good     *fileGood `json:"good,omitempty"`
}

type fileGood struct {
	Revision uint64    `json:"revision"`
	Epoch    uint64    `json:"epoch"`
	Digest   string    `json:"digest"`
	Schema   int       `json:"schema"`
	Created  time.Time `json:"created"`
	Size     int       `json:"size"`
}

// write puts the image of bucket into w.
func (im image) write(w io.Writer, bucket string) error {
	h := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, h), 64<<10)
	enc := json.NewEncoder(out)
	head := fileHead{snapshotForm, bucket, im.epoch, im.created, im.revision, len(im.keys)}
	if err := enc.Encode(head); err != nil {
		return err
	}
	for key, k := range im.keys {
		line := fileKey{Key: key, Revision: k.revision, Digest: k.digest, Deleted: k.deleted, Fault: k.fault}
		if g := k.good; g != nil {
			line.Good = &fileGood{g.Revision, g.Epoch, g.Digest, g.Schema, g.Created, len(g.Value)}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
		if k.good != nil {
			out.Write(k.good.Value)
			out.WriteByte('\n')
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "sha256 %x\n", h.Sum(nil))
	return err
}

// readImage is the inverse of write. Anything that write does not make is an
// error: a file that was cut or changed is never half believed.
func readImage(r io.Reader, bucket string) (image, error) {
	in := &hashing{r: bufio.NewReaderSize(r, 64<<10), h: sha256.New()}
	var head fileHead
	if err := in.json(&head); err != nil {
		return image{}, err
	}
	if head.Form != snapshotForm || head.Bucket != bucket {
		return image{}, fmt.Errorf("it is form %d of bucket %q, want form %d of %q", head.Form, head.Bucket, snapshotForm, bucket)
	}
	im := image{head.Epoch, head.Created, head.Revision, map[string]held{}}
	for range head.Keys {
		key, k, err := in.key(bucket)
		if err != nil {
			return image{}, err
		}
		if _, twice := im.keys[key]; twice {
			return image{}, fmt.Errorf("key %q is there twice", key)
		}
		im.keys[key] = k
	}
	sum := hex.EncodeToString(in.h.Sum(nil))
	end, err := in.r.ReadString('\n')
	if err != nil {
		return image{}, errors.New("it is cut")
	}
	if end != "sha256 "+sum+"\n" {
		return image{}, errors.New("its digest is not that of its content")
	}
	return im, nil
}

// hashing reads lines and values and hashes what it read.
type hashing struct {
	r *bufio.Reader
	h hash.Hash
}

func (in *hashing) json(v any) error {
	line, err := in.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return errors.New("a line is too long")
	}
	if err != nil {
		return errors.New("it is cut")
	}
	in.h.Write(line)
	return json.Unmarshal(line, v)
}

func (in *hashing) key(bucket string) (string, held, error) {
	var line fileKey
	if err := in.json(&line); err != nil {
		return "", held{}, err
	}
	k := held{revision: line.Revision, digest: line.Digest, deleted: line.Deleted, fault: line.Fault}
	g := line.Good
	if g == nil {
		return line.Key, k, nil
	}
	if g.Size < 0 || g.Size > maxSnapshot {
		return "", k, fmt.Errorf("key %q: size %d", line.Key, g.Size)
	}
	var value bytes.Buffer // grows as bytes come: a size that lies takes no memory
	n, err := io.Copy(&value, io.LimitReader(in.r, int64(g.Size)+1))
	if err != nil || n != int64(g.Size)+1 {
		return "", k, errors.New("it is cut")
	}
	in.h.Write(value.Bytes())
	k.good = &Entry{
		Bucket: bucket, Key: strings.Clone(line.Key), Value: value.Bytes()[:g.Size:g.Size],
		Revision: g.Revision, Epoch: g.Epoch, Digest: g.Digest, Schema: g.Schema, Created: g.Created,
		name: line.Key,
	}
	return line.Key, k, nil
}

// accept says why a full read is not to be believed, or nil: at the same
// epoch, each key that is held has to come back, as value or marker, with a
// revision that is not lower, and with the same digest where it is equal. A
// higher epoch is believed whatever it brings, a lower one never.
func (im image) accept(epoch uint64, offered map[string]Entry) error {
	switch {
	case epoch == 0:
		return errors.New("the dom's bucket has no epoch: it was not made by b8s")
	case epoch > im.epoch:
		return nil
	case epoch < im.epoch:
		return fmt.Errorf("the dom offers epoch %d, epoch %d is held: its store is another or older one", epoch, im.epoch)
	}
	var first error
	wrong := 0
	for _, key := range sortedKeys(im.keys) {
		if err := im.keys[key].follows(key, offered); err != nil {
			if wrong++; first == nil {
				first = err
			}
		}
	}
	if wrong > 1 {
		return fmt.Errorf("%w (and %d more keys)", first, wrong-1)
	}
	return first
}

func (k held) follows(key string, offered map[string]Entry) error {
	e, ok := offered[key]
	switch {
	case !ok:
		return fmt.Errorf("key %s is held at revision %d, and the dom does not have it", show(key), k.revision)
	case e.Revision < k.revision:
		return fmt.Errorf("key %s is held at revision %d, and the dom offers %d: its store is another or older one", show(key), k.revision, e.Revision)
	case e.Revision == k.revision && e.Digest != k.digest:
		return fmt.Errorf("key %s is held at revision %d with digest %.12s…, and the dom offers that revision with %.12s…", show(key), k.revision, k.digest, e.Digest)
	}
	return nil
}

// show keeps a key readable in a sentence.
func show(key string) string {
	if name, err := subjects.Name(key); err == nil && strings.Contains(key, "=") {
		return name
	}
	return key
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
