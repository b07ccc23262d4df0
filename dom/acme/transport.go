package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
)

// Limits of one answer.
const (
	answerTimeout = 20 * time.Second
	maxAnswer     = 1 << 20
	// maxBadNonces in a row are retried by the library, with growing pauses that no
	// context ends; more are an error at once.
	maxBadNonces = 6
)

// transport gives the ACME library what it lacks: a context, a bound on
// answers, bodies that needn't be closed, and sight of Retry-After.
type transport struct {
	ctx  context.Context
	next *http.Transport
	now  func() time.Time

	mu         sync.Mutex
	retryAfter time.Duration // of the last answer; 0: none
	badNonces  int           // in a row
}

func newTransport(ctx context.Context, roots []byte, now func() time.Time) (*transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(roots) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(roots) {
			return nil, errors.New("the authority's own root: no certificate in it")
		}
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &transport{ctx: ctx, now: now, next: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: conf,
		TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true, IdleConnTimeout: 30 * time.Second,
	}}, nil
}

// RoundTrip implements http.RoundTripper. The whole answer has been read when
// it returns.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.ctx, answerTimeout)
	defer cancel()
	req = req.Clone(ctx)
	if req.UserAgent() == "" {
		req.Header.Set("User-Agent", "b8s") // RFC 8555 section 6.1
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("answer of %s is longer than %d bytes", req.URL.Host, maxAnswer)
	}
	if resp.StatusCode >= http.StatusBadRequest && !isProblem(body) {
		body = bareProblem(resp.StatusCode)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := t.notice(resp, body); err != nil {
		return nil, err
	}
	return resp, nil
}

// notice remembers the answer's Retry-After, and counts rejected nonces.
func (t *transport) notice(resp *http.Response, body []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), t.now())
	if resp.StatusCode != http.StatusBadRequest || !isBadNonce(body) {
		if resp.Request == nil || resp.Request.Method != http.MethodHead {
			t.badNonces = 0
		}
		return nil
	}
	if t.badNonces++; t.badNonces > maxBadNonces {
		return fmt.Errorf("the authority rejected %d nonces in a row", t.badNonces)
	}
	return nil
}

func isProblem(body []byte) bool {
	var p *legoacme.ProblemDetails
	return json.Unmarshal(body, &p) == nil && p != nil
}

// bareProblem stands in for the page of some box before the authority, or for
// no words at all: the library keeps the status of a problem document alone.
func bareProblem(status int) []byte {
	text, _ := json.Marshal(legoacme.ProblemDetails{Type: bareType, Detail: strconv.Itoa(status) + " " + http.StatusText(status), HTTPStatus: status})
	return text
}

// bareType is the type of a problem that says no more than its status (RFC
// 9457 section 4.2.1).
const bareType = "about:blank"

func isBadNonce(body []byte) bool {
	var p struct{ Type string }
	return json.Unmarshal(body, &p) == nil && p.Type == legoacme.BadNonceErr
}

// wished returns the Retry-After of the last answer.
func (t *transport) wished() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.retryAfter
}

// parseRetryAfter reads both forms of RFC 9110 section 10.2.3; 0 if it is
// neither, or in the past.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
