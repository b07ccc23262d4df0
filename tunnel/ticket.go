package tunnel

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
)

// A Token admits one dom to one sub, once. It is 144 random bits, whose text
// is 24 characters of unpadded base64url without a spare bit, so that a token
// has one spelling. No format verb shows it; Reveal does. The zero value is no
// token.
type Token [18]byte

const tokenTextLen = 24

// NewToken draws a token from the system's random source.
func NewToken() Token {
	var t Token
	rand.Read(t[:]) // never fails: crypto/rand ends the process instead
	return t
}

// Reveal returns the token's text, for the operator's eyes.
func (t Token) Reveal() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// IsZero reports whether t is no token.
func (t Token) IsZero() bool { return t == Token{} }

// String hides the token.
func (t Token) String() string { return "token" }

// Format hides the token from every verb.
func (t Token) Format(f fmt.State, _ rune) { f.Write([]byte(t.String())) }

// MarshalText refuses: a token is never stored.
func (t Token) MarshalText() ([]byte, error) {
	return nil, errors.New("a token is never stored")
}

func parseToken(s string) (t Token, err error) {
	if len(s) != tokenTextLen {
		return t, fmt.Errorf("%d characters where %d belong", len(s), tokenTextLen)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return t, errors.New("a character that no token has")
	}
	copy(t[:], raw)
	if t.IsZero() {
		return t, errors.New("all zero, which is no token")
	}
	return t, nil
}

// keys derives the bootstrap peer of an enrolment: the private key of the dom's
// short-lived device, and the preshared key. Salting with the sub's public key
// ties them to this sub.
func (t Token) keys(sub PublicKey) (PrivateKey, PresharedKey) {
	derive := func(info string) [32]byte {
		key, err := hkdf.Key(sha256.New, t[:], sub[:], info, 32)
		if err != nil {
			panic(err) // 32 bytes are within HKDF's bounds
		}
		return [32]byte(key)
	}
	private := PrivateKey(derive("b8s enrol v1 x25519"))
	private.clamp()
	return private, PresharedKey(derive("b8s enrol v1 psk"))
}

// A Ticket is what the operator carries from a new sub to the dom: where the
// sub is, which key it has, and the token that proves the dom to it.
type Ticket struct {
	IPv4, IPv6 netip.Addr // at least one is valid
	Token      Token
	Key        PublicKey
}

// String returns the ticket as the operator pastes it, the token revealed:
// IPV4:IPV6:AUTH_TOKEN:WIREGUARD_PUBLIC_KEY, IPv6 in brackets, an unknown
// address empty.
func (t Ticket) String() string {
	var v4, v6 string
	if t.IPv4.IsValid() {
		v4 = t.IPv4.String()
	}
	if t.IPv6.IsValid() {
		v6 = "[" + t.IPv6.String() + "]"
	}
	return strings.Join([]string{v4, v6, t.Token.Reveal(), t.Key.String()}, ":")
}

// LogValue leaves the token out.
func (t Ticket) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("ipv4", t.IPv4), slog.Any("ipv6", t.IPv6), slog.String("key", t.Key.String()))
}

// Endpoints returns the sub's addresses with a port, IPv4 first.
func (t Ticket) Endpoints(port uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range []netip.Addr{t.IPv4, t.IPv6} {
		if a.IsValid() {
			out = append(out, netip.AddrPortFrom(a, port))
		}
	}
	return out
}

// ParseTicket reads what Ticket.String wrote, and nothing looser. Its errors
// name the field and the cure, and never show the token.
func ParseTicket(s string) (Ticket, error) {
	fields, err := splitTicket(s)
	if err != nil {
		return Ticket{}, fmt.Errorf("add-sub line: %w", err)
	}
	var t Ticket
	if t.IPv4, err = parseIPv4(fields.ipv4); err != nil {
		return Ticket{}, fmt.Errorf("add-sub line, IPv4 address: %w", err)
	}
	if t.IPv6, err = parseIPv6(fields.ipv6); err != nil {
		return Ticket{}, fmt.Errorf("add-sub line, IPv6 address: %w", err)
	}
	if t.Token, err = parseToken(fields.token); err != nil {
		return Ticket{}, fmt.Errorf("add-sub line, token: %w; copy the whole line again from the sub", err)
	}
	if t.Key, err = ParsePublicKey(fields.key); err != nil {
		return Ticket{}, fmt.Errorf("add-sub line, %w; copy the whole line again from the sub", err)
	}
	if !t.IPv4.IsValid() && !t.IPv6.IsValid() {
		return Ticket{}, errors.New("add-sub line: no address; write the sub's public one in front: 203.0.113.5::TOKEN:KEY or :[2001:db8::5]:TOKEN:KEY")
	}
	return t, nil
}

const ticketForm = "IPV4:[IPV6]:TOKEN:KEY"

type ticketFields struct{ ipv4, ipv6, token, key string }

// splitTicket cuts the line at its three colons, those within the brackets
// apart.
func splitTicket(s string) (f ticketFields, err error) {
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return f, fmt.Errorf("a character at position %d that can't be part of it (white space?); paste it as one word, %s", i+1, ticketForm)
	}
	v4, rest, ok := strings.Cut(s, ":")
	if !ok {
		return f, fmt.Errorf("no colon in it; it has the form %s", ticketForm)
	}
	f.ipv4 = v4
	if strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return f, errors.New("IPv6 address: no closing bracket")
		}
		f.ipv6, rest = rest[:end+1], rest[end+1:]
		if rest, ok = strings.CutPrefix(rest, ":"); !ok {
			return f, errors.New("IPv6 address: no colon after the closing bracket")
		}
	} else if f.ipv6, rest, ok = strings.Cut(rest, ":"); !ok {
		return f, fmt.Errorf("it ends after the first field; it has the form %s", ticketForm)
	}
	parts := strings.Split(rest, ":")
	if len(parts) > 2 {
		return f, fmt.Errorf("%d fields too many; it has the form %s, with brackets around an IPv6 address", len(parts)-2, ticketForm)
	}
	if len(parts) < 2 {
		return f, fmt.Errorf("the key is missing; it has the form %s", ticketForm)
	}
	f.token, f.key = parts[0], parts[1]
	return f, nil
}

func parseIPv4(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is none; write a.b.c.d, or leave it empty", s)
	case !addr.Is4():
		return netip.Addr{}, fmt.Errorf("%q is of another family; it belongs into the second field, in brackets", s)
	}
	return addr, usable(addr)
}

func parseIPv6(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return netip.Addr{}, fmt.Errorf("%q has no brackets; write [%s], or leave it empty", s, s)
	}
	inner = strings.TrimSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is none; write it as [2001:db8::5], or leave it empty", inner)
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone (%%%s), so it is valid on one link only; write a global address", inner, addr.Zone())
	case addr.Is4(), addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address; it belongs into the first field", inner)
	}
	return addr, usable(addr)
}

// usable refuses what no packet can be sent to from elsewhere.
func usable(addr netip.Addr) error {
	if addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Errorf("%s is not an address of one host that others reach; write the public one", addr)
	}
	return nil
}
