package geolite

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Environment variables that hold the credentials where no file is named.
const (
	AccountEnv = "B8S_GEOLITE_ACCOUNT"
	KeyEnv     = "B8S_GEOLITE_KEY"
)

// ErrNoCredentials is returned by KeyFrom when neither file nor environment
// names any.
var ErrNoCredentials = fmt.Errorf("no GeoLite credentials: set %s and %s, or name a file that holds account id and licence key (free at maxmind.com)", AccountEnv, KeyEnv)

// Credentials are those of a MaxMind account. They print without the key.
type Credentials struct {
	AccountID  string
	LicenceKey string
}

// String implements fmt.Stringer.
func (c Credentials) String() string { return "account " + c.AccountID }

// GoString implements fmt.GoStringer, so that %#v keeps the key too.
func (c Credentials) GoString() string { return c.String() }

// MarshalText keeps the key out of JSON and logs.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c Credentials) validate() error {
	for _, s := range []string{c.AccountID, c.LicenceKey} {
		if s == "" {
			return ErrNoCredentials
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
			return errors.New("account id or licence key has a character that none can have")
		}
	}
	return nil
}

// KeyFrom reads the credentials from a file, or from the environment if path
// is empty. The file has account id and licence key as two words, or is a
// GeoIP.conf as MaxMind's own tools read it (AccountID and LicenseKey lines).
// The warning, if any, tells that others on this machine can read the file.
func KeyFrom(path string) (c Credentials, warning string, err error) {
	if path == "" {
		c = Credentials{strings.TrimSpace(os.Getenv(AccountEnv)), strings.TrimSpace(os.Getenv(KeyEnv))}
		return c, "", c.validate()
	}
	info, err := os.Stat(path)
	if err != nil {
		return c, "", fmt.Errorf("read GeoLite credentials: %w", err)
	}
	if info.Size() > 64<<10 {
		return c, "", fmt.Errorf("read GeoLite credentials: %s has %d bytes: it is some other file", path, info.Size())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		warning = fmt.Sprintf("%s can be read by others on this machine (mode %04o): chmod 600 %s", path, mode, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return c, warning, fmt.Errorf("read GeoLite credentials: %w", err)
	}
	if c, err = parseCredentials(string(b)); err != nil {
		return c, warning, fmt.Errorf("read GeoLite credentials: %s: %w", path, err)
	}
	return c, warning, nil
}

func parseCredentials(text string) (Credentials, error) {
	var c Credentials
	var words []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch {
		case len(fields) == 2 && fields[0] == "AccountID":
			c.AccountID = fields[1]
		case len(fields) == 2 && fields[0] == "LicenseKey":
			c.LicenceKey = fields[1]
		default:
			words = append(words, fields...)
		}
	}
	if c == (Credentials{}) && len(words) == 2 {
		c = Credentials{words[0], words[1]}
	}
	if err := c.validate(); err != nil {
		return Credentials{}, errors.New("want account id and licence key: two words, or the lines AccountID and LicenseKey of a GeoIP.conf")
	}
	return c, nil
}
