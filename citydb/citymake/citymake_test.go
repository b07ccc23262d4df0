package citymake

import (
	"io"
	"net/netip"
	"testing"
	"time"
)

func TestMakeRefuses(t *testing.T) {
	for _, p := range []string{"2002::/24", "::ffff:1.2.3.0/120"} {
		n := []Network{{Prefix: netip.MustParsePrefix(p), City: "x"}}
		if err := Make(io.Discard, n, time.Unix(0, 0)); err == nil {
			t.Errorf("%s: no error for a network that stands for IPv4", p)
		}
	}
	if err := Make(io.Discard, []Network{{}}, time.Unix(0, 0)); err == nil {
		t.Error("no error for the zero prefix")
	}
}
