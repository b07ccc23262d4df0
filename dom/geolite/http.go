package geolite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HTTPError is an answer of the server other than success. Its text has the
// operator's next step.
type HTTPError struct {
	Status     int
	RetryAfter time.Duration // as the server asked; 0 if it didn't
}

func (e *HTTPError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	switch e.Status {
	case http.StatusUnauthorized:
		return text + ": account id or licence key is wrong, or the key is younger than 5 minutes; check both at maxmind.com under Manage License Keys"
	case http.StatusForbidden:
		return text + ": the account may not download this database; accept the GeoLite licence at maxmind.com, or make a new key"
	case http.StatusNotFound:
		return text + ": there is no such database at this address; check the URL and its edition name"
	case http.StatusTooManyRequests:
		if e.RetryAfter > 0 {
			return text + fmt.Sprintf(": the account's daily limit of downloads is used up; try again in %s", e.RetryAfter.Round(time.Minute))
		}
		return text + ": the account's daily limit of downloads is used up; try again tomorrow, or use --file"
	}
	if e.Status >= 500 {
		return text + ": the fault is the server's; try again later"
	}
	return text
}

func (e *HTTPError) needsOperator() bool { return e.Status >= 400 && e.Status < 500 }

func newHTTPError(r *http.Response, now time.Time) *HTTPError {
	e := &HTTPError{Status: r.StatusCode}
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		e.RetryAfter = time.Duration(min(max(seconds, 0), 30*86400)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		e.RetryAfter = min(max(at.Sub(now), 0), 30*24*time.Hour)
	}
	return e
}

// safeClient is a client that sends the credentials to the first origin only.
// net/http alone would send them to other ports of the host and to its
// subdomains.
func safeClient(base *http.Client) *http.Client {
	c := http.Client{}
	if base != nil {
		c = *base
	} else {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = time.Minute
		t.DisableCompression = true // the archive's bytes, for checksum and resuming
		t.DisableKeepAlives = true  // a few requests a week; nothing is left open
		c.Transport = t
	}
	c.CheckRedirect = checkRedirect
	return &c
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= 10 {
		return errors.New("redirected ten times")
	}
	if first.URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("redirected from https to an unprotected address")
	}
	if next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		next.Header.Del("Authorization")
	}
	next.Header.Del("Referer")
	return nil
}

// parseURL fills url, sumURL and source.
func (d *download) parseURL() error {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the GeoLite address is not an http or https URL")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return errors.New("the GeoLite address is http, which would show the licence key to the network; use https")
	}
	u.User = nil
	sum := *u
	if q := u.Query(); q.Has("suffix") {
		q.Set("suffix", q.Get("suffix")+".sha256")
		sum.RawQuery = q.Encode()
	} else {
		sum.Path += ".sha256"
	}
	d.url, d.sumURL = u, &sum
	d.source = u.Scheme + "://" + u.Host + u.Path
	return nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// get sends one request. The caller closes the answer's body.
func (d *download) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "b8s")
	req.SetBasicAuth(d.AccountID, d.LicenceKey)
	resp, err := d.Client.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	return resp, nil
}

// plain drops the URL from a client's error: after a redirect it is a signed
// one, as good as a key.
func plain(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	var dns *net.DNSError
	if errors.As(u.Err, &dns) && dns.IsNotFound {
		return fmt.Errorf("%w: is this machine online?", dns)
	}
	return u.Err
}

// redact is the last line of defence: whatever text an error carries, the key
// is not in it.
func (d *download) redact(err error) error {
	text := err.Error()
	escaped := url.QueryEscape(d.LicenceKey)
	if !strings.Contains(text, d.LicenceKey) && !strings.Contains(text, escaped) {
		return err
	}
	return errors.New(strings.NewReplacer(d.LicenceKey, "[key]", escaped, "[key]").Replace(text))
}
