package edge

import "strings"

// canonicalHost is a host name in lower case without its last dot. It copies
// only what has to change.
func canonicalHost(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := 0; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return strings.ToLower(name)
		}
	}
	return name
}

// hostOf is the canonical host of a Host field or an authority, without its
// port. What is malformed gives "".
func hostOf(authority string) string {
	host := authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		for _, c := range []byte(authority[i+1:]) {
			if c < '0' || c > '9' {
				return ""
			}
		}
		host = authority[:i]
	}
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		case c == '[', c == ']', c == ':': // an IPv6 address; no site has one
		default:
			return ""
		}
	}
	return canonicalHost(host)
}
