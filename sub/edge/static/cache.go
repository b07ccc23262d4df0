package static

import (
	"container/list"
	"sync"

	"b8s/sub/edge/compress"
)

var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Cache holds what is known of files, and their compressed variants, within
// bounds. It is for concurrent use.
type Cache struct {
	files, variants *store
}

// NewCache makes a cache that holds so many octets of files, and of variants.
func NewCache(files, variants int64) *Cache {
	return &Cache{files: newStore(files), variants: newStore(variants)}
}

// Drop forgets a folder.
func (c *Cache) Drop(digest string) {
	c.files.drop(digest)
	c.variants.drop(digest)
}

// Size is the octets held of files and of variants.
func (c *Cache) Size() (files, variants int64) { return c.files.size(), c.variants.size() }

type key struct {
	digest, name string
	encoding     compress.Encoding
}

// store keeps the files that were last used.
type store struct {
	limit int64

	mu      sync.Mutex
	held    int64
	entries map[key]*list.Element
	recent  *list.List // of *entry, the last used in front
}

type entry struct {
	key  key
	once sync.Once
	file *file
	err  error
	cost int64
}

func newStore(limit int64) *store {
	return &store{limit: limit, entries: map[key]*list.Element{}, recent: list.New()}
}

// entryCost is what an entry takes beside the file's octets, about.
const entryCost = 512

// get is the file under a key, made once if it isn't there. What could not be
// made is not kept.
func (s *store) get(k key, make func() (*file, error)) (*file, error) {
	s.mu.Lock()
	at := s.entries[k]
	if at == nil {
		at = s.recent.PushFront(&entry{key: k})
		s.entries[k] = at
	} else if s.recent.Front() != at {
		s.recent.MoveToFront(at)
	}
	e := at.Value.(*entry)
	s.mu.Unlock()
	e.once.Do(func() {
		e.file, e.err = make()
		s.made(at)
	})
	return e.file, e.err
}

// made counts an entry, and drops the ones that were not used for longest.
func (s *store) made(at *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := at.Value.(*entry)
	if s.entries[e.key] != at {
		return // dropped meanwhile
	}
	if e.err != nil {
		s.remove(at)
		return
	}
	e.cost = entryCost + int64(len(e.key.name)+len(e.file.data))
	s.held += e.cost
	for last := s.recent.Back(); s.held > s.limit && last != nil; last = s.recent.Back() {
		s.remove(last)
	}
}

// remove takes an entry out. s.mu is held.
func (s *store) remove(at *list.Element) {
	e := s.recent.Remove(at).(*entry)
	delete(s.entries, e.key)
	s.held -= e.cost
}

func (s *store) drop(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, at := range s.entries {
		if k.digest == digest {
			s.remove(at)
		}
	}
}

func (s *store) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
