package edge

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// redirects answers without TLS: challenges of certificate authorities, and
// else the way to https.
type redirects struct{ s *Server }

const challengePath = "/.well-known/acme-challenge/"

// ServeHTTP implements http.Handler.
func (h redirects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if token, ok := strings.CutPrefix(r.URL.Path, challengePath); ok {
		h.challenge(w, r, token)
		return
	}
	host := hostOf(r.Host)
	if h.s.sites.Load().find(host) == nil {
		h.s.refuse(w, r, http.StatusMisdirectedRequest, "unknown host", "No site of this name is served here.")
		return
	}
	if reason := checkTarget(r); reason != "" || r.RequestURI == "*" {
		h.s.refuse(w, r, http.StatusBadRequest, "malformed target", "The address is malformed.")
		return
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Location", "https://"+host+h.port()+r.RequestURI)
	w.Header().Set("Content-Length", "0")
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
}

// challenge answers with a token's key authorization.
func (h redirects) challenge(w http.ResponseWriter, r *http.Request, token string) {
	content, ok := (*h.s.challenges.Load())[token]
	if !ok {
		h.s.page(w, r, http.StatusNotFound, "There is no such challenge.")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		io.WriteString(w, content)
	}
}

// port is that of https, where it isn't the usual one.
func (h redirects) port() string {
	https, _ := h.s.ports.addrs()
	usual := func(a netip.AddrPort) bool { return a.Port() == 443 }
	for _, a := range https {
		if usual(a) {
			return ""
		}
	}
	if len(https) == 0 {
		return ""
	}
	return ":" + strconv.Itoa(int(https[0].Port()))
}
