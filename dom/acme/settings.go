package acme

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Issuer says what kind of authority signs.
type Issuer string

// The issuers. The empty one is IssuerACME.
const (
	IssuerACME  Issuer = "acme"
	IssuerLocal Issuer = "local" // an authority of our own, for laboratories
)

// LetsEncrypt is the directory that an empty CA.Directory means.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Settings is how certificates are got. The zero value is Let's Encrypt, an
// account without e-mail, EC256 keys and no second authority.
type Settings struct {
	Issuer Issuer
	CA     CA
	// Second is asked after SecondAfter failures in a row at CA, and then in
	// turns with it. Nil: there is none. The next renewal begins with CA again.
	Second      *CA
	SecondAfter int     // 0: 3
	KeyType     KeyType // "": EC256; a Wish may say otherwise
	Parallel    int     // orders under way at once; 0: 4
}

// CA is one ACME authority and the account there.
type CA struct {
	Directory string  // https URL; "": LetsEncrypt
	Email     string  // contact of the account; "": none
	Profile   string  // profile of the order; "": the authority's default
	Binding   Binding // external account binding
	// Roots, in PEM, are trusted for the authority's own HTTPS instead of the
	// system's. Empty: the system's.
	Roots []byte
}

// Binding is an account at the authority's shop (RFC 8555 section 7.3.4). The
// zero value is none.
type Binding struct {
	KeyID string
	HMAC  Secret // base64url, as the authority shows it
}

// Secret is a text that prints as [secret].
type Secret string

// Format hides the secret whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { f.Write([]byte("[secret]")) }

// Wish is a certificate that shall exist.
type Wish struct {
	Name     string   // of the certificate: [a-z0-9][a-z0-9-]{0,62}
	DNSNames []string // ASCII, without the last dot; the first label may be "*"
	KeyType  KeyType  // "": Settings.KeyType
}

var certificateName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// maxNames is what authorities take in one order.
const maxNames = 100

// Check returns everything that is wrong with s, joined.
func (s Settings) Check() error {
	var errs []error
	if s.Issuer != "" && s.Issuer != IssuerACME && s.Issuer != IssuerLocal {
		errs = append(errs, fmt.Errorf("issuer %q: known are acme and local", s.Issuer))
	}
	errs = append(errs, s.CA.check(), s.KeyType.check())
	if s.Second != nil {
		errs = append(errs, s.Second.check())
		if s.Second.directory() == s.CA.directory() {
			errs = append(errs, fmt.Errorf("second authority %s is the first one: name another", s.Second.directory()))
		}
	}
	return errors.Join(errs...)
}

func (c CA) check() error {
	u, err := url.Parse(c.directory())
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("authority directory %q: must be an https URL", c.Directory)
	}
	if strings.ContainsAny(c.Email, " \t\r\n,;<>") || c.Email != "" && !strings.Contains(c.Email, "@") {
		return fmt.Errorf("account e-mail %q: must be one address", c.Email)
	}
	if (c.Binding.KeyID == "") != (c.Binding.HMAC == "") {
		return fmt.Errorf("account binding of %s: needs both the key id and the hmac key", c.directory())
	}
	return nil
}

func (c CA) directory() string {
	if c.Directory == "" {
		return LetsEncrypt
	}
	return c.Directory
}

func (s Settings) secondAfter() int { return orDefault(s.SecondAfter, 3) }
func (s Settings) parallel() int    { return orDefault(s.Parallel, 4) }

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// authority returns the CA for the next attempt after so many strikes:
// blocks of SecondAfter attempts, in turns.
func (s Settings) authority(strikes int) CA {
	if s.Second != nil && (strikes/s.secondAfter())%2 == 1 {
		return *s.Second
	}
	return s.CA
}

// canonical returns w with its defaults filled in, and its names in lower
// case, sorted, each once, without those that a wildcard among them covers:
// an authority refuses such an order.
func (w Wish) canonical(s Settings) (Wish, error) {
	if !certificateName.MatchString(w.Name) {
		return w, fmt.Errorf("certificate name %q: must be 1 to 63 of a-z, 0-9 and -, the first not a -", w.Name)
	}
	if w.KeyType == "" {
		w.KeyType = s.KeyType
	}
	if w.KeyType == "" {
		w.KeyType = EC256
	}
	if err := w.KeyType.check(); err != nil {
		return w, fmt.Errorf("certificate %s: %w", w.Name, err)
	}
	names := make([]string, 0, len(w.DNSNames))
	for _, n := range w.DNSNames {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if err := checkName(n); err != nil {
			return w, fmt.Errorf("certificate %s: %w", w.Name, err)
		}
		names = append(names, n)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	w.DNSNames = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, parent, _ := strings.Cut(n, ".")
		return !strings.HasPrefix(n, "*.") && slices.Contains(names, "*."+parent)
	})
	if len(w.DNSNames) == 0 || len(w.DNSNames) > maxNames {
		return w, fmt.Errorf("certificate %s: has %d names, must have 1 to %d", w.Name, len(w.DNSNames), maxNames)
	}
	return w, nil
}

// checkName takes a host name in ASCII, perhaps with "*" as its first label.
func checkName(name string) error {
	rest := strings.TrimPrefix(name, "*.")
	if len(name) > 253 || rest == "" {
		return fmt.Errorf("name %q: must have 1 to 253 characters", name)
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !validLabel(label) {
			return fmt.Errorf("name %q: label %q must be letters, digits and inner hyphens, 1 to 63", name, label)
		}
	}
	return nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// covers says whether a certificate with names is good for host.
func covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(names, host) || slices.Contains(names, "*."+parent)
}

// Timing of the readiness rule and of retries; see ready.go and record.go.
const (
	readyWithin = 2 * time.Minute
	silentAfter = 3 * time.Second
	// presentFor is how long a challenge stays published without being renewed.
	presentFor = 2 * time.Hour
)
