package zonefile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

func (s *scanner) directive(e *entry) error {
	word := strings.ToUpper(string(e.word(0)))
	var err error
	switch word {
	case "$ORIGIN":
		err = s.setOrigin(e)
	case "$TTL":
		err = s.setDefaultTTL(e)
	case "$INCLUDE":
		return s.includeFile(e)
	case "$GENERATE":
		return s.generate(e)
	default:
		err = fmt.Errorf(`unknown directive %s; a name that starts with $ is written \$`, clip(e.word(0)))
	}
	if err != nil {
		return s.fail(e.line, "%s", err)
	}
	return nil
}

func (s *scanner) setOrigin(e *entry) error {
	if len(e.tokens) != 2 {
		return errors.New("$ORIGIN takes one name")
	}
	n, err := parseName(e.word(1), s.origin, true)
	if err != nil {
		return nameError("$ORIGIN", e.word(1), err)
	}
	s.origin, s.token = n, nil
	return nil
}

func (s *scanner) setDefaultTTL(e *entry) error {
	if len(e.tokens) != 2 {
		return errors.New("$TTL takes one time")
	}
	ttl, ok := parseTTL(e.word(1))
	if !ok {
		return fmt.Errorf("$TTL %q: want seconds, or a time as 1h30m", clip(e.word(1)))
	}
	if ttl > maxTTL {
		return fmt.Errorf("$TTL %s is above %d (68 years)", clip(e.word(1)), maxTTL)
	}
	s.ttl, s.ttlFrom = uint32(ttl), directive
	return nil
}

// includeFile reads another file in place. Origin and owner are afterwards what
// they were before.
func (s *scanner) includeFile(e *entry) error {
	line := e.line
	if len(e.tokens) < 2 || len(e.tokens) > 3 {
		return s.fail(line, "$INCLUDE takes a file and, if wanted, an origin")
	}
	if !s.include {
		return s.fail(line, "$INCLUDE is not possible here: the text stands alone")
	}
	path := string(e.word(1))
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.path), path)
	}
	switch {
	case s.included(path):
		return s.fail(line, "$INCLUDE %s: the file includes itself", path)
	case len(s.reading) > maxInclude:
		return s.fail(line, "$INCLUDE %s: more than %d files within each other", path, maxInclude)
	}
	saved := s.context
	defer func() { s.context = saved }()
	if len(e.tokens) == 3 {
		n, err := parseName(e.word(2), s.origin, true)
		if err != nil {
			return s.fail(line, "%s", nameError("$INCLUDE origin", e.word(2), err))
		}
		s.origin = n
	}
	s.token = nil // its array stays with the saved context
	err := s.open(path, path)
	var own *Error
	if errors.As(err, &own) {
		s.context = saved
		return s.fail(line, "$INCLUDE %s: %s", path, own.Reason)
	}
	return err
}
