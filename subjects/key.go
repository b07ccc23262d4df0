package subjects

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	wildcard = "_wildcard" // the key's label for *
	rootKey  = "=2E"       // the key of the root
	dotKey   = "=2e"       // the key of the name whose one label is a dot
)

// Key is the bucket key of a DNS name in presentation form (escapes \X and
// \DDD, final dot optional): lower case, without the last dot, label * as
// _wildcard, any octet outside [a-z0-9_-] as =HH, the root as =2E. Different
// names have different keys; Name is the inverse.
func Key(name string) (string, error) {
	labels, err := split(name)
	if err != nil {
		return "", fmt.Errorf("domain name %q: %w", name, err)
	}
	if len(labels) == 0 {
		return rootKey, nil
	}
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = encodeLabel(l)
	}
	key := strings.Join(out, ".")
	if key == rootKey {
		return dotKey, nil
	}
	return key, nil
}

// Name is the DNS name of a key: absolute, lower case, escaped as miekg/dns
// prints it. A key that Key does not make is an error.
func Name(key string) (string, error) {
	if key == rootKey {
		return ".", nil
	}
	var b strings.Builder
	for part := range strings.SplitSeq(key, ".") {
		label, err := decodeLabel(part)
		if err != nil {
			return "", fmt.Errorf("key %q: %w", key, err)
		}
		escape(&b, label)
		b.WriteByte('.')
	}
	name := b.String()
	if again, err := Key(name); err != nil || again != key {
		return "", fmt.Errorf("key %q is not the key of a domain name", key)
	}
	return name, nil
}

// split gives the labels of a name as octets, lower case; none for the root.
func split(name string) (labels [][]byte, err error) {
	if name == "." {
		return nil, nil
	}
	var label []byte
	size := 1 // octets on the wire
	end := func() error {
		if len(label) == 0 {
			return fmt.Errorf("empty label")
		}
		if len(label) > 63 {
			return fmt.Errorf("label longer than 63 octets")
		}
		size += 1 + len(label)
		labels, label = append(labels, label), nil
		return nil
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; c {
		case '.':
			err = end()
		case '\\':
			n, octet, bad := unescape(name[i+1:])
			label, i, err = append(label, octet), i+n, bad
		default:
			label = append(label, c)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(label) > 0 || name == "" {
		if err := end(); err != nil {
			return nil, err
		}
	}
	if size > 255 {
		return nil, fmt.Errorf("longer than 255 octets")
	}
	return lower(labels), nil
}

func lower(labels [][]byte) [][]byte {
	for _, l := range labels {
		for i, c := range l {
			if c >= 'A' && c <= 'Z' {
				l[i] = c + 'a' - 'A'
			}
		}
	}
	return labels
}

// unescape reads what follows a backslash: how many bytes, which octet.
func unescape(s string) (n int, octet byte, err error) {
	if s == "" {
		return 0, 0, fmt.Errorf(`ends in \`)
	}
	if s[0] < '0' || s[0] > '9' {
		return 1, s[0], nil
	}
	if len(s) < 3 || strings.Trim(s[:3], "0123456789") != "" {
		return 0, 0, fmt.Errorf(`want three digits after \`)
	}
	v, err := strconv.ParseUint(s[:3], 10, 8)
	if err != nil {
		return 0, 0, fmt.Errorf(`\%s is not an octet`, s[:3])
	}
	return 3, byte(v), nil
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func encodeLabel(label []byte) string {
	switch string(label) {
	case "*":
		return wildcard
	case wildcard:
		return "=5Fwildcard"
	}
	var b strings.Builder
	for _, c := range label {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func decodeLabel(s string) ([]byte, error) {
	if s == wildcard {
		return []byte("*"), nil
	}
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			out = append(out, s[i])
			continue
		}
		if len(s) < i+3 {
			return nil, fmt.Errorf("= without two hexadecimal digits")
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return nil, fmt.Errorf("=%s is not an octet", s[i+1:i+3])
		}
		out, i = append(out, byte(v)), i+2
	}
	return out, nil
}

// escape writes a label as miekg/dns does.
func escape(b *strings.Builder, label []byte) {
	for _, c := range label {
		switch {
		case strings.IndexByte(". '@;()\"\\", c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
}
