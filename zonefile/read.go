package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// Options are what Read and Parse may leave out. The zero value checks
// everything.
type Options struct {
	// WithoutNS accepts a zone without NS records at its apex, for a caller
	// that adds them.
	WithoutNS bool
}

// Read reads and checks the zone apex from the master file at path. Errors are
// joined, each an *Error. $INCLUDE is relative to the file that it stands in.
func Read(apex, path string) (*Zone, error) { return Options{}.Read(apex, path) }

// Parse reads and checks the zone apex from text, which name stands for in
// errors. It has no $INCLUDE.
func Parse(apex string, text []byte, name string) (*Zone, error) {
	return Options{}.Parse(apex, text, name)
}

// Read is the function Read with these options.
func (o Options) Read(apex, path string) (*Zone, error) {
	b := builder{options: o, name: path}
	return b.zone(apex, Scan(apex, path, b.add))
}

// Parse is the function Parse with these options.
func (o Options) Parse(apex string, text []byte, name string) (*Zone, error) {
	b := builder{options: o, name: name}
	return b.zone(apex, ScanText(apex, text, name, b.add))
}

// New makes a zone of records, in any order, that need not come from a file;
// name stands for them in errors. The records must not be changed afterwards.
func (o Options) New(apex, name string, records []dns.RR) (*Zone, error) {
	b := builder{options: o, name: name}
	for _, rr := range records {
		b.add(rr, "", 0) // never fails
	}
	return b.zone(apex, nil)
}

// builder makes a Zone of records in any order.
type builder struct {
	options  Options
	name     string
	items    []item
	files    []string
	errs     []error
	warnings []string
}

// item is a record on its way into a zone.
type item struct {
	rr  dns.RR
	key string // orders the owner
	at  position
	seq uint32
}

func (b *builder) add(rr dns.RR, file string, line int) error {
	it := item{rr: rr, at: position{b.fileIndex(file), uint32(line)}, seq: uint32(len(b.items))}
	owner := rr.Header().Name
	if n := len(b.items); n > 0 && b.items[n-1].rr.Header().Name == owner {
		it.key = b.items[n-1].key
	} else {
		var buf [2 * maxName]byte
		it.key = string(orderKey(buf[:0], owner))
	}
	b.items = append(b.items, it)
	return nil
}

func (b *builder) fileIndex(file string) uint32 {
	if n := len(b.files); n > 0 && b.files[n-1] == file {
		return uint32(n - 1)
	}
	if i := slices.Index(b.files, file); i >= 0 {
		return uint32(i)
	}
	b.files = append(b.files, file)
	return uint32(len(b.files) - 1)
}

// where is an item's FILE and LINE.
func (b *builder) where(it item) (string, int) {
	if it.at.line == 0 {
		return b.name, 0
	}
	return b.files[it.at.file], int(it.at.line)
}

func (b *builder) fail(it item, format string, args ...any) {
	if len(b.errs) == maxErrors {
		return
	}
	file, line := b.where(it)
	b.errs = append(b.errs, &Error{file, line, fmt.Sprintf(format, args...)})
}

func (b *builder) warn(it item, format string, args ...any) {
	if len(b.warnings) == maxErrors {
		return
	}
	file, line := b.where(it)
	b.warnings = append(b.warnings, (&Error{file, line, fmt.Sprintf(format, args...)}).Error())
}

func (b *builder) zone(apex string, scanErr error) (*Zone, error) {
	text, err := Name(apex)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", apex, err)
	}
	slices.SortFunc(b.items, compareItems)
	b.settle()
	b.check(text, scanErr != nil)
	if err := errors.Join(append([]error{scanErr}, b.byLine()...)...); err != nil {
		return nil, err
	}
	z := &Zone{Apex: text, Warnings: b.warnings, files: b.files}
	z.Records = make([]dns.RR, len(b.items))
	z.at = make([]position, len(b.items))
	for i, it := range b.items {
		z.Records[i], z.at[i] = it.rr, it.at
	}
	return z, nil
}

// byLine gives the errors in the order of the file.
func (b *builder) byLine() []error {
	sort.SliceStable(b.errs, func(i, j int) bool {
		x, y := b.errs[i].(*Error), b.errs[j].(*Error)
		return x.File == y.File && x.Line < y.Line
	})
	return b.errs
}

// compareItems orders by owner, type (the SOA first) and place in the file.
func compareItems(a, b item) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	if c := typeRank(a.rr.Header().Rrtype) - typeRank(b.rr.Header().Rrtype); c != 0 {
		return c
	}
	return int(a.seq) - int(b.seq)
}

func typeRank(t uint16) int {
	if t == dns.TypeSOA {
		return -1
	}
	return int(t)
}

// settle gives each RRset one TTL, canonical order and no duplicates.
func (b *builder) settle() {
	out := 0
	for i := 0; i < len(b.items); {
		j := i + 1
		for j < len(b.items) && sameSet(b.items[i], b.items[j]) {
			j++
		}
		set := b.items[i:j]
		if len(set) > 1 {
			set = b.settleSet(set)
		}
		out += copy(b.items[out:], set)
		i = j
	}
	clear(b.items[out:])
	b.items = b.items[:out]
}

func sameSet(a, b item) bool {
	return a.rr.Header().Rrtype == b.rr.Header().Rrtype && a.key == b.key
}

// settleSet is settle for one set. The TTL is the first one's, as in BIND and
// NSD; RFC 2181 5.2 has no RRset with several. RRSIGs have that of what they
// sign.
func (b *builder) settleSet(set []item) []item {
	h := set[0].rr.Header()
	first := h.Ttl
	for i, it := range set {
		if o := it.rr.Header(); o.Ttl != first && o.Rrtype != dns.TypeRRSIG {
			b.warn(it, "%s %s has TTL %d, the records before it %d; %d is taken", o.Name, typeName(o.Rrtype), o.Ttl, first, first)
			set[i].rr = withTTL(it.rr, first)
		}
	}
	wires := make(map[dns.RR][]byte, len(set))
	for _, it := range set {
		wires[it.rr] = canonicalRdata(it.rr)
	}
	slices.SortFunc(set, func(x, y item) int {
		if c := bytes.Compare(wires[x.rr], wires[y.rr]); c != 0 {
			return c
		}
		return int(x.seq) - int(y.seq)
	})
	kept := set[:1]
	for _, it := range set[1:] {
		if bytes.Equal(wires[it.rr], wires[kept[len(kept)-1].rr]) {
			b.warn(it, "%s %s stands here a second time", it.rr.Header().Name, typeName(it.rr.Header().Rrtype))
			continue
		}
		kept = append(kept, it)
	}
	return kept
}
