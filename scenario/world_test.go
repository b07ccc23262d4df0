package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"b8s/control"
	"b8s/dom"
	"b8s/sub"
)

// world is all that one scenario has: its hosts, on loopback addresses that no
// other scenario or process uses, and their folders.
type world struct {
	t      *testing.T
	ctx    context.Context
	number int
	dir    string
	site   string // where b8s.yaml and its zones are
	hosts  map[string]*host
	kept   map[string]string // tickets by the name that the script gave them
	epochs []uint64          // that were forced, in the order they were seen
	live   map[string]func() error
}

// host is a dom or a sub.
type host struct {
	role  role
	name  string
	run   process // nil while it doesn't run
	relay *relay  // the way to a sub; nil for a dom
	asker *asker  // of a sub
	key   string  // of a dom

	enrolled   time.Time // of a sub: when, as identity saw it last
	enrolments int
	mark       int64 // datagrams that a sub had sent, for silent
}

func newWorld(ctx context.Context, t *testing.T, number int) *world {
	dir, err := os.MkdirTemp("", "b8s-scenario-") // a short path, for the sockets
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, ctx: ctx, number: number, dir: dir, site: filepath.Join(dir, "site"),
		hosts: map[string]*host{}, kept: map[string]string{}, live: map[string]func() error{},
	}
	if err := os.Mkdir(w.site, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// address is the scenario's own: of the group (public, tunnel, dom) and host.
func (w *world) address(group, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(100 + os.Getpid()%150), byte(4*w.number + group), byte(host)})
}

const (
	groupPublic = iota
	groupTunnel
	groupDom
)

// dom is the dom of that name, the usual one for "".
func (w *world) dom(name string) *host {
	if name == "" {
		name = "dom"
	}
	h := w.hosts[name]
	if h == nil {
		h = w.newHost(name)
		h.role.Dom, h.role.Tunnel = true, w.address(groupDom, len(w.hosts)+1)
	}
	return h
}

// sub is the sub of that name.
func (w *world) sub(name string) (*host, error) {
	if h := w.hosts[name]; h != nil {
		if h.relay == nil {
			return nil, fmt.Errorf("%s is a dom", name)
		}
		return h, nil
	}
	h := w.newHost(name)
	h.role.Public, h.role.Tunnel = w.address(groupPublic, len(w.hosts)), w.address(groupTunnel, len(w.hosts))
	h.asker = &asker{server: h.role.dns()}
	var err error
	h.relay, err = newRelay(netip.AddrPortFrom(h.role.Public, tunnelPort), netip.AddrPortFrom(h.role.Tunnel, tunnelPort))
	return h, err
}

func (w *world) newHost(name string) *host {
	h := &host{name: name, role: role{State: filepath.Join(w.dir, name), Log: filepath.Join(w.dir, name+".log")}}
	w.hosts[name] = h
	return h
}

func (h *host) domClient() dom.Client { return dom.Client{State: h.role.State} }
func (h *host) subClient() sub.Client { return sub.Client{State: h.role.State} }

// start runs the host until it is ready, and has a sub asked from then on.
func (h *host) start(ctx context.Context, asChild bool) (err error) {
	if h.run != nil {
		return fmt.Errorf("%s runs already", h.name)
	}
	if asChild {
		h.run, err = startChild(h.role)
	} else {
		h.run, err = startInside(ctx, h.role)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", h.name, err)
	}
	if h.asker == nil {
		return nil
	}
	h.asker.start()
	return h.awaitControl(ctx)
}

// awaitControl waits until a sub that answers DNS answers its operator too.
func (h *host) awaitControl(ctx context.Context) error {
	for {
		_, err := h.subClient().Status(ctx)
		if !errors.Is(err, control.ErrNoDaemon) {
			return err
		}
		<-time.After(lookEvery)
	}
}

// end stops or kills the host, after the last question to it.
func (h *host) end(how func(process) error) error {
	if h.run == nil {
		return fmt.Errorf("%s does not run", h.name)
	}
	if h.asker != nil {
		h.asker.stop()
	}
	err := how(h.run)
	h.run = nil
	if err != nil {
		return fmt.Errorf("end %s: %w", h.name, err)
	}
	return nil
}

// subs are the scenario's subs by name.
func (w *world) subs() (list []*host) {
	for _, name := range slices.Sorted(maps.Keys(w.hosts)) {
		if h := w.hosts[name]; h.relay != nil {
			list = append(list, h)
		}
	}
	return list
}

// promises is what the subs were held to all along: "" when they kept it.
func (w *world) promises() string {
	var broken []string
	for _, h := range w.subs() {
		if _, wrong := h.asker.found(); wrong != "" {
			broken = append(broken, h.name+":", wrong)
		}
	}
	return strings.Join(broken, "\n")
}

// close ends all that runs, the subs first, and removes the folders. With a
// failure the end of each host's log is told.
func (w *world) close() {
	var wrong []error
	if w.t.Failed() {
		w.tellReasons()
	}
	for _, h := range append(w.subs(), w.doms()...) {
		if h.run != nil {
			wrong = append(wrong, h.end(process.Stop))
		}
		if h.relay != nil {
			h.relay.Close()
		}
	}
	if err := errors.Join(wrong...); err != nil {
		w.t.Error(err)
	}
	if w.t.Failed() {
		w.tellLogs()
	}
	os.RemoveAll(w.dir)
}

// tellReasons has each dom say what is not as published.
func (w *world) tellReasons() {
	for _, h := range w.doms() {
		if h.run == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		r, err := h.domClient().Status(ctx)
		cancel()
		w.t.Logf("%s says: %q %v", h.name, r.Why, err)
	}
}

func (w *world) doms() (list []*host) {
	for _, h := range w.hosts {
		if h.relay == nil {
			list = append(list, h)
		}
	}
	return list
}

// logLines is how much of each host's log a failure shows.
const logLines = 30

func (w *world) tellLogs() {
	for _, h := range append(w.doms(), w.subs()...) {
		text, _ := os.ReadFile(h.role.Log)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "level=DEBUG") })
		w.t.Logf("log of %s:\n%s", h.name, strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
	}
}

var volatile = []struct {
	form *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DATE"},
	{regexp.MustCompile(`\b[0-9a-f]{12}…`), "DIGEST"},
	{regexp.MustCompile(`epoch \d{8,}`), "epoch FORCED"},
	{regexp.MustCompile(`is held at revision \d+[^;\n]*`), "is held, and what the dom has does not follow it"},
	{regexp.MustCompile(`\d+ handshakes arrived`), "N handshakes arrived"},
	{regexp.MustCompile(`within \d+s\b`), "within N s"},
	{regexp.MustCompile(`uploads/[A-Z0-9]+`), "uploads/FILE"},
	{regexp.MustCompile(`\b(sha256-)?[0-9a-f]{64}\b`), "DIGEST"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ms\b`), "N ms"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{42,43}=`), "KEY"},
	{regexp.MustCompile(`\b[0-9a-f]{4}(-[0-9a-f]{4}){4}\b`), "FINGERPRINT"},
}

// stable is text without what differs from run to run: a host's addresses
// are its name, times, digests and keys are words.
func (w *world) stable(text string) string {
	for _, h := range w.hosts {
		for _, addr := range []netip.Addr{h.role.Public, h.role.Tunnel} {
			if addr.IsValid() {
				text = regexp.MustCompile(regexp.QuoteMeta(addr.String())+`\b`).ReplaceAllString(text, h.name)
			}
		}
	}
	for _, v := range volatile {
		text = v.form.ReplaceAllString(text, v.word)
	}
	return strings.ReplaceAll(text, w.dir, "DIR")
}

// duration is an option of a call, or usual; longer in a slow build.
func (c call) duration(option string, usual time.Duration) (time.Duration, error) {
	if text, ok := c.opts[option]; ok {
		d, err := time.ParseDuration(text)
		return slower * d, err
	}
	return slower * usual, nil
}
