package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// MaxBeat is the most that a beat or its answer carries, in bytes. With its
// head it fits one packet of the overlay.
const MaxBeat = 1200

// A beat is one datagram of the heartbeat: "b8s", a kind, a number, and a
// payload that this package doesn't look into.
type beat struct {
	kind    byte
	seq     uint64
	payload []byte
}

const (
	beatAsk    = 1 // dom to sub
	beatAnswer = 2 // sub to dom, with the number asked
	beatHello  = 3 // sub to dom: I'm up, beat now

	beatHead = 12
)

var errNotBeat = errors.New("not a beat")

func (b beat) append(buf []byte) ([]byte, error) {
	if len(b.payload) > MaxBeat {
		return nil, fmt.Errorf("beat of %d bytes, %d are possible", len(b.payload), MaxBeat)
	}
	buf = append(buf, 'b', '8', 's', b.kind)
	buf = binary.BigEndian.AppendUint64(buf, b.seq)
	return append(buf, b.payload...), nil
}

// parseBeat reads a datagram. The payload is part of buf.
func parseBeat(buf []byte) (beat, error) {
	if len(buf) < beatHead || len(buf) > beatHead+MaxBeat || string(buf[:3]) != "b8s" {
		return beat{}, errNotBeat
	}
	b := beat{kind: buf[3], seq: binary.BigEndian.Uint64(buf[4:]), payload: buf[beatHead:]}
	if b.kind < beatAsk || b.kind > beatHello {
		return beat{}, errNotBeat
	}
	return b, nil
}

// receiveBeat waits for the next well-formed beat of a peer, and drops all
// else. The payload is valid until the next call.
func receiveBeat(d *Device, c net.PacketConn, buf []byte) (beat, PublicKey, error) {
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return beat{}, PublicKey{}, err
		}
		source, ok := from.(*net.UDPAddr)
		if !ok || source.Port != BeatPort {
			continue
		}
		peer, ok := d.PeerAt(source.AddrPort().Addr())
		if !ok {
			continue
		}
		if b, err := parseBeat(buf[:n]); err == nil {
			return b, peer, nil
		}
	}
}

func beatAddr(peer PublicKey) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(OverlayAddr(peer), BeatPort))
}
