package tunnel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const (
	someToken = "AQIDBAUGBwgJCgsMDQ4PEBES"
	someKey   = "QiyOemIn17yhNQs+K7cnn3iXuHu2hUt4PGDoAxGuMHk="
)

// Both ends must derive the same keys for ever: these were computed apart.
func TestTokenKeysVector(t *testing.T) {
	ticket, err := ParseTicket("203.0.113.5::" + someToken + ":" + someKey)
	if err != nil {
		t.Fatal(err)
	}
	private, psk := ticket.Token.keys(ticket.Key)
	if got, want := fmt.Sprintf("%x", [32]byte(private)), "30d3b7c4a041828cb3412db0346089380d8441a17aa6de47343c23d992b85363"; got != want {
		t.Errorf("private key %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%x", [32]byte(psk)), "ff1c8a3173dfdbbde3363a99cf19949cb9d50371004dc2d13087a3559ea4ec2d"; got != want {
		t.Errorf("preshared key %s, want %s", got, want)
	}
}

func TestParseTicket(t *testing.T) {
	for _, c := range []struct{ line, v4, v6 string }{
		{"203.0.113.5:[2001:db8::5]", "203.0.113.5", "2001:db8::5"},
		{"203.0.113.5:", "203.0.113.5", ""},
		{":[2001:db8::5]", "", "2001:db8::5"},
		{"127.83.0.1:[::1]", "127.83.0.1", "::1"},
	} {
		line := c.line + ":" + someToken + ":" + someKey
		got, err := ParseTicket(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		v4, _ := netip.ParseAddr(c.v4)
		v6, _ := netip.ParseAddr(c.v6)
		if got.IPv4 != v4 || got.IPv6 != v6 || got.Token.Reveal() != someToken || got.Key.String() != someKey {
			t.Errorf("%s: %s", line, got)
		}
		if got.String() != line {
			t.Errorf("%s prints as %s", line, got)
		}
	}
}

// Each error names its field; none shows the token.
func TestParseTicketRefuses(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{"", "no colon"},
		{"203.0.113.5", "no colon"},
		{"203.0.113.5:", "ends after the first"},
		{"203.0.113.5::TOKEN", "key is missing"},
		{"::TOKEN:KEY", "no address"},
		{"203.0.113.5:2001:db8::5:TOKEN:KEY", "brackets"},
		{"203.0.113.5:[2001:db8::5:TOKEN:KEY", "closing bracket"},
		{"203.0.113.5:[2001:db8::5]TOKEN:KEY", "after the closing bracket"},
		{"203.0.113.5:2001.db8:TOKEN:KEY", "IPv6 address"},
		{"[2001:db8::5]::TOKEN:KEY", "brackets"},
		{"2001:db8:TOKEN:KEY", "IPv4 address"},
		{"203.0.113.5:[198.51.100.1]:TOKEN:KEY", "IPv6 address"},
		{"203.0.113.5:[::ffff:198.51.100.1]:TOKEN:KEY", "IPv6 address"},
		{":[fe80::1%eth0]:TOKEN:KEY", "zone"},
		{":[fe80::1]:TOKEN:KEY", "public"},
		{"0.0.0.0::TOKEN:KEY", "public"},
		{"255.255.255.255::TOKEN:KEY", "public"},
		{"224.0.0.1::TOKEN:KEY", "public"},
		{"203.0.113.05::TOKEN:KEY", "IPv4 address"},
		{"203.0.113.5/32::TOKEN:KEY", "IPv4 address"},
		{"203.0.113.5::SHORT:KEY", "token"},
		{"203.0.113.5::" + someToken[:23] + "+:KEY", "token"},
		{"203.0.113.5::AAAAAAAAAAAAAAAAAAAAAAAA:KEY", "token"},
		{"203.0.113.5::TOKEN:" + someKey[:43], "public key"},
		{"203.0.113.5::TOKEN:" + someKey + "=", "public key"},
		{"203.0.113.5::TOKEN:KEY:more", "too many"},
		{" 203.0.113.5::TOKEN:KEY", "position 1"},
		{"203.0.113.5::TOKEN:KEY\n", "white space"},
		{"203.0.113.5::TO KEN:KEY", "white space"},
		{"203.0.113.5::TOKEN:KEY\u00a0", "white space"},
	} {
		line := strings.NewReplacer("TOKEN", someToken, "KEY", someKey).Replace(c.line)
		_, err := ParseTicket(line)
		switch {
		case err == nil:
			t.Errorf("%q: accepted", line)
		case !strings.Contains(err.Error(), c.says):
			t.Errorf("%q: %q doesn't say %q", line, err, c.says)
		case strings.Contains(err.Error(), someToken):
			t.Errorf("%q: %q shows the token", line, err)
		}
	}
}

func TestTicketEndpoints(t *testing.T) {
	ticket, err := ParseTicket("203.0.113.5:[2001:db8::5]:" + someToken + ":" + someKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(ticket.Endpoints(51820)), "[203.0.113.5:51820 [2001:db8::5]:51820]"; got != want {
		t.Errorf("endpoints %s, want %s", got, want)
	}
}

// What parses prints as it was: one line, one ticket.
func FuzzTicket(f *testing.F) {
	f.Add("203.0.113.5:[2001:db8::5]:" + someToken + ":" + someKey)
	f.Add("203.0.113.5::" + someToken + ":" + someKey)
	f.Add(":[::1]:" + someToken + ":" + someKey)
	f.Add("::::[[]]:")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTicket(s)
		if err != nil {
			if strings.Contains(err.Error(), someToken) {
				t.Errorf("%q: %q shows the token", s, err)
			}
			return
		}
		again, err := ParseTicket(got.String())
		if err != nil || again != got {
			t.Errorf("%q prints as %q, which is %v, %v", s, got, again, err)
		}
	})
}
