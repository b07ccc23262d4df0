package nameserver

import (
	"encoding/binary"
	"net/netip"

	"b8s/sub/zone"
)

const (
	// maxChain bounds how many CNAME and DNAME an answer follows.
	maxChain = 16
	pointer  = 0xC000
)

// answerer turns queries into answers in the same octets. It holds all memory
// that this takes; one goroutine uses it at a time.
type answerer struct {
	view   *View
	source netip.Addr // of the query: the resolver, or the asker itself
	query  query
	names  [2]zone.Name // the name asked for; the chain's next one: they take turns
	glue   zone.Name

	msg     []byte
	at      int // end of what is written
	limit   int
	flags   byte // AA and TC
	rcode   int
	counts  [3]uint16 // of answer, authority, additional
	scope   uint8
	visited [maxChain + 1]uint64 // hashes of the names in the chain
	dnames  [maxChain]written
	ndnames int
	tally   tally
}

// written is a DNAME that the answer holds already.
type written struct {
	labels int
	hash   uint64
	target int // where its target stands
}

// Sections of a message, as indices of answerer.counts.
const (
	answer = iota
	authority
	additional
)

// link is where the name that is looked up stands in the message: its first
// split octets at place at, the rest where tail points to.
type link struct {
	at, split int
	tail      uint16
}

// pointer to octet off of the name.
func (l link) pointer(off int) uint16 {
	if off < l.split {
		return pointer | uint16(l.at+off)
	}
	return l.tail + uint16(off-l.split)
}

// reply answers the query of size octets in buf, in the same place, and gives
// the answer's size; 0 is silence. buf must have room for 65,535 octets over a
// stream, maxPayload else.
func (a *answerer) reply(view *View, buf []byte, size int, source netip.Addr, stream bool) int {
	if size < headerSize || buf[2]&bitQR != 0 {
		a.tally.silent++
		return 0
	}
	a.view, a.source, a.msg = view, source, buf
	a.flags, a.rcode, a.counts, a.scope = 0, 0, [3]uint16{}, 0
	switch buf[2] & opcodeMask {
	case 0:
		a.rcode = a.query.parse(buf[:size], &a.names[0])
	case opcodeUpdate:
		a.query, a.rcode = query{}, rcodeRefused
	default:
		a.query, a.rcode = query{}, rcodeNotImp
	}
	a.at = max(a.query.end, headerSize)
	a.limit = a.query.payload
	if stream {
		a.limit = 65535
	}
	if a.query.edns {
		a.limit -= optSize + a.query.subnet.len()
	}
	if a.rcode == 0 {
		a.resolve()
	}
	a.finish()
	a.view = nil // an old view must not outlive its time in an idle server
	a.tally.count(stream, a.rcode, a.flags&bitTC != 0)
	return a.at
}

// finish adds the OPT and completes the header.
func (a *answerer) finish() {
	if a.query.edns {
		a.putOPT()
	}
	h := a.msg[:headerSize]
	h[2] = h[2]&(opcodeMask|bitRD) | bitQR | a.flags
	h[3] = byte(a.rcode & 15)
	questions := uint16(0)
	if a.query.end > 0 {
		questions = 1
	}
	binary.BigEndian.PutUint16(h[4:], questions)
	for i, n := range a.counts {
		binary.BigEndian.PutUint16(h[6+2*i:], n)
	}
}

func (a *answerer) putOPT() {
	o := a.msg[a.at : a.at+optSize]
	o[0] = 0
	binary.BigEndian.PutUint16(o[1:], typeOPT)
	binary.BigEndian.PutUint16(o[3:], maxPayload)
	o[5], o[6], o[7], o[8] = byte(a.rcode>>4), 0, 0, 0
	if a.query.do {
		o[7] = 0x80
	}
	subnet := &a.query.subnet
	binary.BigEndian.PutUint16(o[9:], uint16(subnet.len()))
	a.at += optSize
	if subnet.given {
		a.at = subnet.put(a.msg, a.at, a.scope)
	}
	a.counts[additional]++
}

// truncate leaves the question alone, and the word to ask again over TCP.
func (a *answerer) truncate() {
	a.at = a.query.end
	a.counts = [3]uint16{}
	a.flags |= bitTC
}

// put writes an RRset, or truncates.
func (a *answerer) put(section int, r zone.RRset, owner, apex uint16) bool {
	if a.at+r.Len() > a.limit {
		a.truncate()
		return false
	}
	a.at = r.Put(a.msg, a.at, owner, apex)
	a.counts[section] += uint16(r.Count)
	return true
}
