package geolite

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKeyFrom(t *testing.T) {
	t.Setenv(AccountEnv, "")
	t.Setenv(KeyEnv, "")
	if _, _, err := KeyFrom(""); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("empty environment: %v", err)
	}
	t.Setenv(AccountEnv, "42")
	t.Setenv(KeyEnv, key+"\n")
	if c, _, err := KeyFrom(""); err != nil || c != (Credentials{"42", key}) {
		t.Errorf("environment: %v, %v", c, err)
	}
	path := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		text    string
		mode    os.FileMode
		ok      bool
		warning string
	}{
		{"42 " + key + "\n", 0o600, true, ""},
		{"42\n" + key, 0o640, true, "chmod 600"},
		{"# from MaxMind\nAccountID 42\nLicenseKey " + key + "\nEditionIDs GeoLite2-City GeoLite2-ASN\n", 0o600, true, ""},
		{key, 0o600, false, ""},
		{"AccountID 42", 0o600, false, ""},
		{"a b c " + key, 0o600, false, ""},
		{"", 0o600, false, ""},
	} {
		write(t, path, []byte(c.text))
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, warning, err := KeyFrom(path)
		if (err == nil) != c.ok || c.ok && got != (Credentials{"42", key}) {
			t.Errorf("KeyFrom of %q = %v, %v", c.text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the error tells the key: %v", err)
		}
		if (warning != "") != (c.warning != "") || !strings.Contains(warning, c.warning) {
			t.Errorf("mode %o: warning %q", c.mode, warning)
		}
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add("AccountID 42\nLicenseKey x")
	f.Add("42 x # y")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials(text)
		if err == nil && (c.AccountID == "" || c.LicenceKey == "" || strings.ContainsAny(c.AccountID+c.LicenceKey, " \t\r\n:")) {
			t.Errorf("parseCredentials(%q) = %q %q", text, c.AccountID, c.LicenceKey)
		}
	})
}

func TestNext(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		last     time.Time
		min, max time.Duration // from now
	}{
		{"never", time.Time{}, 0, 10 * time.Minute},
		{"just now", now, week, week + jitter},
		{"yesterday", now.Add(-24 * time.Hour), week - 24*time.Hour, week},
		{"a month ago", now.AddDate(0, -1, 0), 0, 10 * time.Minute},
		{"clock went back", now.AddDate(1, 0, 0), week, week + jitter},
	} {
		got := Next(c.last, now)
		if wait := got.Sub(now); wait < c.min || wait > c.max {
			t.Errorf("%s: in %s, want %s to %s", c.name, wait, c.min, c.max)
		}
		if again := Next(c.last, now); again != got {
			t.Errorf("%s: %s and then %s", c.name, got, again)
		}
	}
	if Next(now, now) == Next(now.Add(time.Second), now).Add(-time.Second) {
		t.Error("no jitter")
	}
}

func TestRetry(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		failures int
		err      error
		min      time.Duration
	}{
		{1, errors.New("no route"), time.Hour},
		{3, errors.New("no route"), 4 * time.Hour},
		{99, errors.New("no route"), 24 * time.Hour},
		{1, &HTTPError{Status: 503}, time.Hour},
		{1, &HTTPError{Status: 401}, 24 * time.Hour},
		{1, &HTTPError{Status: 503, RetryAfter: 48 * time.Hour}, 48 * time.Hour},
	} {
		if wait := Retry(c.failures, c.err, now).Sub(now); wait < c.min || wait > c.min*9/8 {
			t.Errorf("%d failures, %v: %s, want %s and an eighth", c.failures, c.err, wait, c.min)
		}
	}
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "60": time.Minute, "-5": 0, "soon": 0, "99999999999": 30 * 24 * time.Hour,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		r := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {value}}}
		if got := newHTTPError(r, now).RetryAfter; got != want {
			t.Errorf("Retry-After %q: %s, want %s", value, got, want)
		}
	}
}
