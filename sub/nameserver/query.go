package nameserver

import (
	"encoding/binary"

	"b8s/sub/zone"
)

// Types, classes, codes and bits of messages that answers depend on.
const (
	typeA     = 1
	typeCNAME = 5
	typeSOA   = 6
	typeAAAA  = 28
	typeOPT   = 41
	typeDS    = 43
	typeIXFR  = 251
	typeAXFR  = 252

	classIN  = 1
	classANY = 255

	rcodeFormErr  = 1
	rcodeNXDomain = 3
	rcodeNotImp   = 4
	rcodeRefused  = 5
	rcodeYXDomain = 6
	rcodeBadVers  = 16

	headerSize   = 12
	bitQR        = 0x80 // third octet of the header
	bitAA        = 0x04
	bitTC        = 0x02
	bitRD        = 0x01
	opcodeMask   = 0x78
	opcodeUpdate = 5 << 3

	optSize    = 11 // an OPT without options
	minPayload = 512
	// maxPayload is what a UDP answer is cut to, and what we offer to take: it
	// passes every network unfragmented (RFC 9715).
	maxPayload = 1232
)

// query is what a message asks.
type query struct {
	end       int // of the question
	qtype     uint16
	qclass    uint16
	edns      bool
	do        bool
	version   uint8
	payload   int // what the asker takes over UDP
	subnet    subnet
	badSubnet bool // it is malformed
}

// parse reads a query whose opcode is QUERY, its name into n. It gives the
// RCODE of the refusal, or 0. When q.end is 0 the question can't be sent back.
func (q *query) parse(msg []byte, n *zone.Name) (rcode int) {
	*q = query{payload: minPayload}
	if binary.BigEndian.Uint16(msg[4:]) != 1 {
		return rcodeFormErr
	}
	size, ok := n.Read(msg[headerSize:])
	at := headerSize + size
	if !ok || at+4 > len(msg) {
		return rcodeFormErr
	}
	q.qtype, q.qclass = binary.BigEndian.Uint16(msg[at:]), binary.BigEndian.Uint16(msg[at+2:])
	q.end = at + 4
	return q.parseRecords(msg)
}

// parseRecords reads what stands behind the question: of use is an OPT only.
func (q *query) parseRecords(msg []byte) (rcode int) {
	others := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:]))
	additional := int(binary.BigEndian.Uint16(msg[10:]))
	at := q.end
	for i := range others + additional {
		owner := at
		if at = skipName(msg, at); at < 0 || at+10 > len(msg) {
			return rcodeFormErr
		}
		end := at + 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
		if end > len(msg) {
			return rcodeFormErr
		}
		if binary.BigEndian.Uint16(msg[at:]) == typeOPT {
			if i < others || q.edns || msg[owner] != 0 || !q.parseOPT(msg[at:end]) {
				q.edns = false // nothing in it can be believed
				return rcodeFormErr
			}
		}
		at = end
	}
	switch {
	case q.version > 0:
		return rcodeBadVers
	case q.badSubnet:
		return rcodeFormErr
	}
	return 0
}

// skipName says where the name at place at ends, -1 if it doesn't.
func skipName(msg []byte, at int) int {
	for at < len(msg) {
		switch length := int(msg[at]); {
		case length == 0:
			return at + 1
		case length >= 0xC0:
			return at + 2
		case length > 63:
			return -1
		default:
			at += 1 + length
		}
	}
	return -1
}

// parseOPT reads an OPT from its type on (RFC 6891); false if it is malformed.
// Options other than the client subnet are passed over.
func (q *query) parseOPT(rr []byte) bool {
	q.edns = true
	q.payload = min(max(int(binary.BigEndian.Uint16(rr[2:])), minPayload), maxPayload)
	q.version, q.do = rr[5], rr[6]&0x80 != 0
	if q.version > 0 {
		return true
	}
	for o := rr[10:]; len(o) > 0; {
		if len(o) < 4 {
			return false
		}
		size := int(binary.BigEndian.Uint16(o[2:]))
		if 4+size > len(o) {
			return false
		}
		if binary.BigEndian.Uint16(o) == optionSubnet && !q.subnet.given && !q.badSubnet {
			q.badSubnet = !q.subnet.parse(o[4 : 4+size])
		}
		o = o[4+size:]
	}
	return true
}
