package acme

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/dom/acme/localca"
)

var pebbleDir string // where buildPebble puts it; removed by TestMain

var buildPebble = sync.OnceValues(func() (string, error) {
	var err error
	if pebbleDir, err = os.MkdirTemp("", "b8s-pebble-"); err != nil {
		return "", err
	}
	path := filepath.Join(pebbleDir, "pebble")
	cmd := exec.Command("go", "build", "-o", path, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	cmd.Dir = filepath.Join("..", "..", "tools")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pebble: %w: %s", err, out)
	}
	return path, nil
})

// pebble is the real ACME test server, strict, that rejects good nonces.
type pebble struct {
	t          *testing.T
	config     pebbleConfig
	dir        string
	resolver   string
	env        []string
	roots      []byte
	Directory  string
	management string

	mu  sync.Mutex
	log []string
	cmd *exec.Cmd
	end chan struct{}
}

type pebbleConfig struct {
	Listen     string            `json:"listenAddress"`
	Management string            `json:"managementListenAddress"`
	Cert       string            `json:"certificate"`
	Key        string            `json:"privateKey"`
	HTTPPort   int               `json:"httpPort"`
	TLSPort    int               `json:"tlsPort"`
	EAB        bool              `json:"externalAccountBindingRequired"`
	MACKeys    map[string]string `json:"externalAccountMACKeys,omitempty"`
	KeyAlg     string            `json:"keyAlgorithm"`
	Profiles   map[string]any    `json:"profiles"`
	CAA        []string          `json:"caaIdentities"`
	RetryAfter map[string]int    `json:"retryAfter"`
}

// startPebble runs one until the test ends. Options change its configuration.
func startPebble(t *testing.T, n *names, options ...func(*pebble)) *pebble {
	t.Helper()
	if _, err := buildPebble(); err != nil {
		if os.Getenv("B8S_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skipf("skipped: needs Pebble, which can't be built here: %v", err)
	}
	dir := t.TempDir()
	p := &pebble{t: t, dir: dir, resolver: n.resolver.String(), env: []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=15"}}
	p.certify()
	listen, management := freePort(t), freePort(t)
	p.config = pebbleConfig{
		Listen: "127.0.0.1:" + listen, Management: "127.0.0.1:" + management,
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), HTTPPort: 1, TLSPort: 1, KeyAlg: "ecdsa",
		Profiles: map[string]any{
			"default":    map[string]any{"description": "ninety days", "validityPeriod": 90 * 86400},
			"shortlived": map[string]any{"description": "six days", "validityPeriod": 6 * 86400},
		},
		CAA: []string{"pebble.test"},
	}
	p.Directory, p.management = "https://localhost:"+listen+"/dir", "https://localhost:"+management
	for _, o := range options {
		o(p)
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

// certify makes the certificate for Pebble's own HTTPS.
func (p *pebble) certify() {
	ca, err := localca.Open(filepath.Join(p.dir, "ca"), time.Now)
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	chain, err := ca.Issue(key.Public(), []string{"localhost"})
	if err != nil {
		p.t.Fatal(err)
	}
	text, _ := marshalKey(key)
	os.WriteFile(filepath.Join(p.dir, "cert.pem"), chain, 0o600)
	os.WriteFile(filepath.Join(p.dir, "key.pem"), text.pem, 0o600)
	p.roots, _ = ca.Root()
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start runs it and waits until it answers.
func (p *pebble) start() {
	p.t.Helper()
	text, _ := json.Marshal(map[string]any{"pebble": p.config})
	path := filepath.Join(p.dir, "pebble.json")
	os.WriteFile(path, text, 0o600)
	binary, _ := buildPebble()
	p.cmd = exec.Command(binary, "-strict", "-config", path, "-dnsserver", p.resolver)
	p.cmd.Env = append(os.Environ(), p.env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ready := make(chan struct{})
	p.end = make(chan struct{})
	go p.read(out, ready)
	select {
	case <-ready:
	case <-p.end:
		p.t.Fatalf("pebble ended at its start: %s", p.tail())
	}
	p.waitAnswer()
}

func (p *pebble) read(out io.Reader, ready chan struct{}) {
	defer close(p.end)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		p.mu.Unlock()
		if strings.Contains(lines.Text(), "ACME directory available") {
			close(ready)
		}
	}
}

// waitAnswer connects until somebody accepts: the log line comes a moment before.
func (p *pebble) waitAnswer() {
	for _, addr := range []string{p.config.Listen, p.config.Management} {
		for until := time.Now().Add(10 * time.Second); ; {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(until) {
				p.t.Fatalf("pebble doesn't answer: %v: %s", err, p.tail())
			}
		}
	}
}

func (p *pebble) stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.end
	p.cmd.Wait()
	p.cmd = nil
}

func (p *pebble) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log[max(0, len(p.log)-20):], "\n")
}

// count returns how many lines of its log contain text.
func (p *pebble) count(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.log {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

func (p *pebble) issued() int { return p.count("Issued certificate serial") }
func (p *pebble) orders() int { return p.count("Added order") }

// ca is the authority as settings name it.
func (p *pebble) ca() CA {
	return CA{Directory: p.Directory, Roots: p.roots, Profile: "default", Email: "ops@example.test"}
}

// manage talks to its management interface.
func (p *pebble) manage(method, path string, body any) []byte {
	p.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.roots)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	text, _ := json.Marshal(body)
	req, err := http.NewRequest(method, p.management+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s %v %s", method, path, resp.Status, err, answer)
	}
	return answer
}

// verify holds a bundle against Pebble's root.
func (p *pebble) verify(b Bundle, host string) {
	p.t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(p.manage("GET", "/roots/0", nil))
	_, rest := pem.Decode(b.Chain)
	between.AppendCertsFromPEM(rest)
	if _, err := b.leaf().Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between}); err != nil {
		p.t.Errorf("certificate %s for %s: %v", b.Name, host, err)
	}
	if _, err := tls.X509KeyPair(b.Chain, b.Key.PEM()); err != nil {
		p.t.Errorf("certificate %s: %v", b.Name, err)
	}
}

// suggest makes Pebble tell a renewal window for b.
func (p *pebble) suggest(b Bundle, start, end time.Time) {
	p.t.Helper()
	block, _ := pem.Decode(b.Chain)
	window := fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://example.test/why"}`,
		start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	p.manage("POST", "/set-renewal-info/", map[string]string{"Certificate": string(pem.EncodeToMemory(block)), "ARIResponse": window})
}
