package nameserver

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func TestSubnetRefused(t *testing.T) {
	s := located(t, nil)
	for _, test := range []struct {
		name   string
		data   []byte
		accept bool
	}{
		{"good", []byte{0, 1, 24, 0, 203, 0, 113}, true},
		{"family 0", []byte{0, 0, 0, 0}, true},
		{"bits past the source", []byte{0, 1, 20, 0, 203, 0, 113}, false},
		{"address too long", []byte{0, 1, 24, 0, 203, 0, 113, 0}, false},
		{"address too short", []byte{0, 1, 24, 0, 203, 0}, false},
		{"unknown family", []byte{0, 3, 0, 0}, false},
		{"source past the address", []byte{0, 1, 33, 0, 203, 0, 113, 0, 0}, false},
		{"scope in a query", []byte{0, 1, 24, 8, 203, 0, 113}, false},
		{"cut off", []byte{0, 1, 24}, false},
		{"empty", nil, false},
		{"IPv6 source 129", append([]byte{0, 2, 129, 0}, make([]byte, 17)...), false},
	} {
		got := unpack(t, raw(t, s, packed(t, "www.example.com A", func(m *dns.Msg) {
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: test.data}}
		})))
		want := dns.RcodeFormatError
		if test.accept {
			want = 0
		}
		if got.Rcode != want || got.IsEdns0() == nil || len(got.IsEdns0().Option) > 0 != test.accept {
			t.Errorf("%s: got %v, want rcode %d", test.name, got, want)
		}
	}
}

// What parse accepts, put gives back, and asker is within it.
func FuzzSubnet(f *testing.F) {
	f.Add([]byte{0, 1, 24, 0, 203, 0, 113})
	f.Add([]byte{0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 0})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s subnet
		if !s.parse(data) {
			if s.given {
				t.Fatal("refused, and kept")
			}
			return
		}
		buf := make([]byte, 64)
		end := s.put(buf, 0, 0)
		if !bytes.Equal(buf[4:end], data) || s.len() != end {
			t.Fatalf("%x became %x", data, buf[:end])
		}
		if a := s.asker(); a.IsValid() != (s.source > 0) {
			t.Fatalf("%x: asker %v", data, a)
		}
		if s.family == 1 && s.source > 0 {
			if p := netip.PrefixFrom(s.asker(), int(s.source)); p.Masked() != p {
				t.Fatalf("%x: %v has bits past its source", data, p)
			}
		}
	})
}
