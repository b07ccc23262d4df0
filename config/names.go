package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

var label = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidName checks the name of a site or sub: a-z, 0-9 and -, 63 at most, not
// starting with -.
func ValidName(s string) error {
	if label.MatchString(s) {
		return nil
	}
	if l := strings.ToLower(s); l != s && label.MatchString(l) {
		return fmt.Errorf("name %q: lower case only, as %s", s, l)
	}
	return fmt.Errorf("name %q: want 1 to 63 of a-z, 0-9 and -, not starting with -", s)
}

// HostName gives a host name in lower case, absolute, with the trailing dot.
// The first label may be *.
func HostName(s string) (string, error) { return domain(s, true, "") }

// ZoneName is HostName for a zone's apex: no wildcard, but the / of classless
// reverse zones.
func ZoneName(s string) (string, error) { return domain(s, false, "/") }

func domain(s string, wildcard bool, also string) (string, error) {
	if s == "" {
		return "", errors.New("empty name")
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return "", foreign(s)
		}
	}
	text := strings.ToLower(strings.TrimSuffix(s, "."))
	if len(text) > 253 {
		return "", fmt.Errorf("name %q: longer than 253 characters", s[:40]+"…")
	}
	for i, l := range strings.Split(text, ".") {
		if i == 0 && wildcard && l == "*" && text != "*" {
			continue
		}
		if err := checkLabel(l, also); err != nil {
			return "", fmt.Errorf("name %q: %w", s, err)
		}
	}
	return text + ".", nil
}

func checkLabel(l, also string) error {
	switch {
	case l == "":
		return errors.New("empty label, two dots in a row or a leading dot")
	case len(l) > 63:
		return fmt.Errorf("label %s… is longer than 63 characters", l[:20])
	case l[0] == '-' || l[len(l)-1] == '-':
		return fmt.Errorf("label %s starts or ends with -", l)
	}
	for _, c := range l {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || strings.ContainsRune(also, c)) {
			return fmt.Errorf("character %q: want a-z, 0-9, - and _", c)
		}
	}
	return nil
}

// foreign names the form in which an internationalised name is to be written.
func foreign(s string) error {
	labels := strings.FieldsFunc(strings.ToLower(s), func(c rune) bool {
		return c == '.' || c == '。' // the ideographic full stop separates too
	})
	for i, l := range labels {
		labels[i] = asciiForm(l)
	}
	if text := strings.Join(labels, "."); len(text) < 254 && utf8.ValidString(s) {
		return fmt.Errorf("name %q: characters outside of ASCII, write the xn-- form: probably %s", s, text)
	}
	return fmt.Errorf("name %q: characters outside of ASCII, write the xn-- form", s)
}
