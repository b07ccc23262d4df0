package zonefile

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxLabel = 63  // octets of a label, RFC 1035 2.3.4
	maxName  = 255 // octets of a name on the wire, length octets and root included
)

var (
	errNameEmpty  = errors.New("empty name")
	errEmptyLabel = errors.New("empty label, two dots in a row or a leading dot")
	errLongLabel  = errors.New("label longer than 63 octets")
	errLongName   = errors.New("name longer than 255 octets")
	errBadEscape  = errors.New(`bad escape, want \X or \DDD with DDD up to 255`)
	errNoOrigin   = errors.New("relative name without an origin")
)

// name is an absolute domain name in presentation form with its wire length.
type name struct {
	text string
	wire int
}

// plain marks the octets that stand for themselves in a name.
var plain = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = !special(byte(c)) && !(c >= 'A' && c <= 'Z')
	}
	return t
}()

// special marks the octets that a name shows behind a backslash.
func special(c byte) bool {
	switch c {
	case '.', ' ', '\'', '@', ';', '(', ')', '"', '\\':
		return true
	}
	return false
}

// Name is the canonical presentation of a domain name: absolute, lower case,
// and each octet escaped in the one way that Text writes it. A name without
// a final dot is taken as absolute.
func Name(s string) (string, error) {
	if s == "." || s == "" {
		return ".", nil
	}
	n, err := parseName([]byte(s), name{".", 1}, true)
	return n.text, err
}

// parseName makes tok absolute under origin. Its case is folded if lower.
func parseName(tok []byte, origin name, lower bool) (name, error) {
	if len(tok) == 1 {
		switch tok[0] {
		case '@':
			if origin.text == "" {
				return name{}, errNoOrigin
			}
			return origin, nil
		case '.':
			return name{".", 1}, nil
		}
	}
	start := 0
	for i, c := range tok {
		switch {
		case c == '.':
			if i == start {
				return name{}, errEmptyLabel
			}
			if i-start > maxLabel {
				return name{}, errLongLabel
			}
			start = i + 1
		case plain[c], !lower && c >= 'A' && c <= 'Z':
		default:
			return parseHardName(tok, origin, lower)
		}
	}
	if len(tok) == 0 {
		return name{}, errNameEmpty
	}
	if len(tok)-start > maxLabel {
		return name{}, errLongLabel
	}
	return finishName(tok, len(tok)+1, start == len(tok), origin)
}

// finishName adds the origin to a relative name. wire is the length of the
// text on the wire, less the root octet if it is relative.
func finishName(text []byte, wire int, absolute bool, origin name) (name, error) {
	if absolute {
		if wire > maxName {
			return name{}, errLongName
		}
		return name{string(text), wire}, nil
	}
	if origin.text == "" {
		return name{}, errNoOrigin
	}
	wire += origin.wire
	if wire > maxName {
		return name{}, errLongName
	}
	if origin.text == "." {
		return name{string(text) + ".", wire}, nil
	}
	return name{string(text) + "." + origin.text, wire}, nil
}

// parseHardName is parseName for any octet, escapes included.
func parseHardName(tok []byte, origin name, lower bool) (name, error) {
	text := make([]byte, 0, len(tok)+16)
	wire, label := 1, 0
	absolute := false
	for i := 0; i < len(tok); {
		c, n := tok[i], 1
		if c == '.' {
			if label == 0 {
				return name{}, errEmptyLabel
			}
			text = append(text, '.')
			wire++
			label = 0
			i++
			absolute = i == len(tok)
			continue
		}
		if c == '\\' {
			if c, n = unescape(tok[i:]); n == 0 {
				return name{}, errBadEscape
			}
		}
		i += n
		if label++; label > maxLabel {
			return name{}, errLongLabel
		}
		wire++
		text = appendNameOctet(text, c, lower)
	}
	return finishName(text, wire, absolute, origin)
}

// unescape reads the escape that b starts with; n is 0 if it is none.
func unescape(b []byte) (c byte, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	if !digit(b[1]) {
		return b[1], 2
	}
	if len(b) < 4 || !digit(b[2]) || !digit(b[3]) {
		return 0, 0
	}
	v := int(b[1]-'0')*100 + int(b[2]-'0')*10 + int(b[3]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 4
}

// unescapeString is unescape for a canonical name, which has no bad escape.
func unescapeString(s string) (c byte, n int) {
	if !digit(s[1]) {
		return s[1], 2
	}
	return (s[1]-'0')*100 + (s[2]-'0')*10 + s[3] - '0', 4
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func appendNameOctet(dst []byte, c byte, lower bool) []byte {
	if lower && c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	switch {
	case special(c):
		return append(dst, '\\', c)
	case c < '!' || c > '~':
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	}
	return append(dst, c)
}

// wireLen is the length of a canonical absolute name on the wire.
func wireLen(s string) int {
	if s == "." {
		return 1
	}
	n := 1
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			if i++; i < len(s) && digit(s[i]) {
				i += 2
			}
		}
		n++
	}
	return n
}

// within reports whether the canonical name s is apex or below it.
func within(s, apex string) bool {
	if apex == "." || s == apex {
		return true
	}
	i := len(s) - len(apex)
	if i < 2 || s[i:] != apex || s[i-1] != '.' {
		return false
	}
	escapes := 0
	for j := i - 2; j >= 0 && s[j] == '\\'; j-- {
		escapes++
	}
	return escapes%2 == 0
}

// Within reports whether the name s is apex or below it, both as Name gives
// them.
func Within(s, apex string) bool { return within(s, apex) }

// orderKey gives a byte string that sorts as RFC 4034 6.1 sorts names: labels
// from the root down, each as lower-case octets.
func orderKey(dst []byte, s string) []byte {
	var labels [128]int
	n := 0
	if s != "." {
		for i := 0; i < len(s); i++ {
			labels[n] = i
			n++
			for ; i < len(s) && s[i] != '.'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		}
	}
	for n--; n >= 0; n-- {
		dst = appendKeyLabel(dst, s[labels[n]:])
	}
	return dst
}

// appendKeyLabel writes the first label of s and its end mark, 0, which sorts
// before any octet: 0 and 1 themselves go behind a 1.
func appendKeyLabel(dst []byte, s string) []byte {
	for i := 0; i < len(s) && s[i] != '.'; i++ {
		c := s[i]
		if c == '\\' {
			var n int
			c, n = unescapeString(s[i:])
			i += n - 1
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c <= 1 {
			dst = append(dst, 1)
			c++
		}
		dst = append(dst, c)
	}
	return append(dst, 0)
}

// Compare orders two names as RFC 4034 6.1 does: by labels from the root down,
// without regard to case. Both are as Name gives them.
func Compare(a, b string) int {
	var x, y [maxName * 2]byte
	return strings.Compare(string(orderKey(x[:0], a)), string(orderKey(y[:0], b)))
}

func nameError(what string, tok []byte, err error) error {
	return fmt.Errorf("%s %q: %w", what, clip(tok), err)
}

// clip shortens what an error quotes.
func clip(b []byte) string {
	if len(b) > 80 {
		return string(b[:77]) + "..."
	}
	return string(b)
}
