package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/miekg/dns"
)

// maxSet bounds an RRset on the wire: with a header, the longest question and
// an OPT it still fits a message.
const maxSet = 65535 - 12 - maxName - 4 - 64

// Builder makes a Zone of records that come one by one, in any order; canonical
// order costs least. An error is final.
type Builder struct {
	z     Zone
	nodes int // in the table
	dead  int // octets of the arena that dead nodes take
	cuts  bool
	err   error

	name  Name   // of the open node
	owner []byte // as last given, to see at once that it goes on
	open  node
	pack  []byte // scratch for one record
	enc   encoder
}

// node is one whose RRsets are still gathered.
type node struct {
	live  bool
	flags byte // those that its children gave it
	sets  []openSet
}

// openSet is an RRset with its rdata uncompressed, each behind its length.
type openSet struct {
	rrtype uint16
	ttl    uint32
	count  int
	data   []byte
}

// NewBuilder begins a zone. The apex is absolute.
func NewBuilder(apex string) (*Builder, error) {
	b := &Builder{pack: make([]byte, maxName+10+65535)}
	b.z.apex = strings.ToLower(dns.Fqdn(apex))
	var n Name
	if err := b.readName(&n, b.z.apex); err != nil {
		return nil, fmt.Errorf("zone %q: %w", apex, err)
	}
	b.z.wire = append([]byte(nil), n.Wire()...)
	b.z.labels, b.z.hash = n.labels, n.hash[0]
	b.z.table = make([]uint64, 8)
	b.z.arena = append(b.z.arena, 0) // 0 is "no node"
	b.enc.apex = b.z.wire
	b.addNode(&n, 0, nil)
	return b, nil
}

// Grow makes room for about that many records more.
func (b *Builder) Grow(records int) {
	if want := len(b.z.arena) + 44*records; want > cap(b.z.arena) && want <= math.MaxUint32 {
		b.z.arena = append(make([]byte, 0, want), b.z.arena...)
	}
}

// Add takes one record. One that stood there before is dropped; the TTL of an
// RRset is that of its first record.
func (b *Builder) Add(rr dns.RR) error {
	if b.err != nil {
		return b.err
	}
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return b.fail(h.Name, h.Rrtype, errors.New("class is not IN"))
	}
	size, err := dns.PackRR(rr, b.pack, 0, nil, false)
	if err != nil {
		return b.fail(h.Name, h.Rrtype, err)
	}
	end := nameEnd(b.pack)
	return b.AddWire(b.pack[:end], h.Rrtype, h.Ttl, b.pack[end+10:size])
}

// AddWire takes one record of class IN as it stands on the wire, names in it
// uncompressed. Nothing of owner and rdata is kept.
func (b *Builder) AddWire(owner []byte, rrtype uint16, ttl uint32, rdata []byte) error {
	if b.err != nil {
		return b.err
	}
	if string(owner) != string(b.owner) {
		if err := b.turnTo(owner); err != nil {
			return b.fail(wireText(owner), rrtype, err)
		}
	}
	if b.open.add(rrtype, ttl, rdata) {
		b.z.count++
	}
	return nil
}

// AddHost takes a name that is answered by the place of the asker.
func (b *Builder) AddHost(h Host) error {
	if b.err != nil {
		return b.err
	}
	size, err := dns.PackDomainName(dns.Fqdn(h.Name), b.pack, 0, nil, false)
	if err == nil {
		err = b.turnTo(b.pack[:size])
	}
	if err != nil {
		b.err = fmt.Errorf("zone %s: host %s: %w", b.z.apex, h.Name, err)
		return b.err
	}
	data := binary.BigEndian.AppendUint16(nil, h.Policy)
	b.open.add(typeHost, h.TTL, binary.BigEndian.AppendUint32(data, h.TTL))
	return nil
}

func (b *Builder) fail(owner string, rrtype uint16, reason error) error {
	b.err = fmt.Errorf("zone %s: %s %s: %w", b.z.apex, owner, dns.Type(rrtype), reason)
	return b.err
}

func (b *Builder) readName(n *Name, s string) error {
	size, err := dns.PackDomainName(s, b.pack, 0, nil, false)
	if err != nil {
		return err
	}
	if _, ok := n.Read(b.pack[:size]); !ok {
		return errors.New("name is too long")
	}
	return nil
}

// turnTo closes the open node and opens that of owner.
func (b *Builder) turnTo(owner []byte) error {
	if err := b.flush(); err != nil {
		return err
	}
	b.owner = append(b.owner[:0], owner...)
	if _, ok := b.name.Read(owner); !ok {
		return errors.New("name is too long")
	}
	at := b.name.labels - b.z.labels
	if at < 0 || b.name.hash[at] != b.z.hash || string(b.name.wire[b.name.off[at]:b.name.size]) != string(b.z.wire) {
		return errors.New("name is not within the zone")
	}
	b.open.reset()
	if old := b.z.find(&b.name, 0, int(b.name.off[at])); old != 0 {
		b.reopen(old)
	}
	return nil
}

// reopen takes back what a node in the arena holds.
func (b *Builder) reopen(old uint32) {
	b.open.flags = b.z.flags(old) & flagWild
	count, at := b.z.sets(old)
	for range count {
		var set RRset
		set, at = b.z.rrset(at)
		if set.Type == typeHost {
			_, ttl := set.host()
			b.open.add(typeHost, ttl, set.wire)
			continue
		}
		for i := 0; i < set.Len(); {
			ttl := binary.BigEndian.Uint32(set.wire[i+6:])
			var rdata []byte
			rdata, i = b.enc.expand(set, i)
			b.open.add(set.Type, ttl, rdata)
		}
	}
}

// flush writes the open node into the arena.
func (b *Builder) flush() error {
	if !b.open.live {
		return nil
	}
	b.open.live = false
	if err := b.open.check(); err != nil {
		return fmt.Errorf("%s: %w", wireText(b.name.Wire()), err)
	}
	flags := b.open.flags
	apex := b.name.labels == b.z.labels
	for i := range b.open.sets {
		switch t := b.open.sets[i].rrtype; {
		case t == typeNS && !apex:
			flags |= flagCut
		case t == typeDNAME:
			flags |= flagDname
		case t == typeHost:
			flags |= flagGeo
		}
	}
	b.cuts = b.cuts || flags&(flagCut|flagDname) != 0
	return b.addNode(&b.name, flags, b.open.sets)
}

func (n *node) reset() {
	n.live, n.flags = true, 0
	n.sets = n.sets[:0]
}

// add reports whether the record was new.
func (n *node) add(rrtype uint16, ttl uint32, rdata []byte) bool {
	s := n.set(rrtype, ttl)
	for d := s.data; len(d) > 0; {
		size := int(binary.BigEndian.Uint16(d))
		if string(d[2:2+size]) == string(rdata) {
			return false
		}
		d = d[2+size:]
	}
	s.data = binary.BigEndian.AppendUint16(s.data, uint16(len(rdata)))
	s.data = append(s.data, rdata...)
	s.count++
	return true
}

// set finds or begins the RRset of a type, and reuses old ones' memory.
func (n *node) set(rrtype uint16, ttl uint32) *openSet {
	for i := range n.sets {
		if n.sets[i].rrtype == rrtype {
			return &n.sets[i]
		}
	}
	if len(n.sets) < cap(n.sets) {
		n.sets = n.sets[:len(n.sets)+1]
	} else {
		n.sets = append(n.sets, openSet{})
	}
	s := &n.sets[len(n.sets)-1]
	s.rrtype, s.ttl, s.count, s.data = rrtype, ttl, 0, s.data[:0]
	return s
}

// check refuses what can't be answered.
func (n *node) check() error {
	var hosts, addresses, aliases, dnames, others int
	for i := range n.sets {
		switch s := &n.sets[i]; s.rrtype {
		case typeHost:
			hosts += s.count
		case typeA, typeAAAA:
			addresses += s.count
		case typeCNAME:
			aliases += s.count
		case typeDNAME:
			dnames += s.count
		case typeRRSIG, dns.TypeNSEC, dns.TypeKEY:
		default:
			others += s.count
		}
	}
	switch {
	case hosts > 0 && addresses > 0:
		return errors.New("a static A or AAAA stands at a host that is answered by location: remove one of them")
	case hosts > 1:
		return errors.New("host is given twice")
	case aliases > 0 && aliases+hosts+addresses+dnames+others > 1:
		return errors.New("CNAME beside other records")
	case dnames > 1:
		return errors.New("more than one DNAME")
	}
	return nil
}
