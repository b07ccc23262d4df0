package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// EnrolOptions says which sub the dom enrols, and as whom.
type EnrolOptions struct {
	Ticket Ticket

	// Port is the sub's UDP port. Required.
	Port uint16

	// Hello is what the dom says. Its Schema is filled in.
	Hello DomHello

	// Addrs are the addresses to send from; see Options.Addrs.
	Addrs []netip.Addr

	// Clock keeps a dom from dialling with a clock that went back; see Options.
	Clock *Clock

	// Timeout bounds the whole. Zero means 15 s.
	Timeout time.Duration

	// Turn is how long one address of the sub is tried before the next has its
	// turn. Zero means 2 s.
	Turn time.Duration

	// Log takes what WireGuard says, at debug level. Nil discards it.
	Log *slog.Logger
}

// Enrolled is what Enrol got.
type Enrolled struct {
	Sub      SubHello
	Endpoint netip.AddrPort // by which the sub was reached
}

// An EnrolStep is how far an enrolment came.
type EnrolStep string

// The steps of an enrolment, in order.
const (
	StepPrepare   EnrolStep = "prepare"   // nothing was sent
	StepHandshake EnrolStep = "handshake" // the sub didn't answer
	StepConnect   EnrolStep = "connect"   // it did, and took no connection
	StepMessage   EnrolStep = "message"   // the exchange was cut, or made no sense
	StepRefused   EnrolStep = "refused"   // the sub said no
)

// An EnrolError names the step at which an enrolment ended, and what may be
// the cause.
type EnrolError struct {
	Step      EnrolStep
	Endpoints []netip.AddrPort // tried
	Causes    []string         // likely, the likeliest first; each with its cure
	Err       error
}

func (e *EnrolError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "enrol: %s", e.Err)
	for i, cause := range e.Causes {
		if i == 0 {
			b.WriteString("; likely causes:")
		}
		fmt.Fprintf(&b, "\n  - %s", cause)
	}
	return b.String()
}

func (e *EnrolError) Unwrap() error { return e.Err }

// Enrol makes the sub of a ticket accept this dom. It opens a short-lived
// device with the key that the token gives, tries the ticket's addresses in
// turn, exchanges one message each way, and closes the device. When it returns
// nil, the sub has saved the dom's key and waits for it on the real tunnel.
//
// It may be called again with the same ticket for the same dom until then. Its
// error is an *EnrolError, or ctx's.
func Enrol(ctx context.Context, opts EnrolOptions) (Enrolled, error) {
	opts.Timeout = cmp.Or(opts.Timeout, 15*time.Second)
	opts.Turn = cmp.Or(opts.Turn, 2*time.Second)
	opts.Hello.Schema = HelloSchema
	a, err := newAttempt(opts)
	if err != nil {
		return Enrolled{}, &EnrolError{Step: StepPrepare, Err: err}
	}
	defer a.device.Close()
	within, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	c, err := a.connect(within)
	if err == nil {
		defer c.Close()
		var sub SubHello
		if sub, err = a.exchange(within, c); err == nil {
			return Enrolled{Sub: sub, Endpoint: a.endpoint()}, nil
		}
	} else {
		err = a.silence(err)
	}
	if ctx.Err() != nil {
		return Enrolled{}, ctx.Err()
	}
	return Enrolled{}, err
}

// An attempt is one run of Enrol.
type attempt struct {
	opts      EnrolOptions
	sub       PublicKey
	endpoints []netip.AddrPort
	device    *Device
}

func newAttempt(opts EnrolOptions) (*attempt, error) {
	a := &attempt{opts: opts, sub: opts.Ticket.Key, endpoints: opts.Ticket.Endpoints(opts.Port)}
	if err := opts.Hello.Validate(); err != nil {
		return nil, fmt.Errorf("the dom's own message: %w", err)
	}
	if len(a.endpoints) == 0 || opts.Port == 0 || opts.Ticket.Token.IsZero() {
		return nil, errors.New("no address, port or token of the sub")
	}
	if err := opts.Clock.Check(); err != nil {
		return nil, err
	}
	private, psk := opts.Ticket.Token.keys(a.sub)
	var err error
	a.device, err = Open(Options{PrivateKey: private, Addrs: opts.Addrs, Clock: opts.Clock, Log: opts.Log})
	if err != nil {
		return nil, err
	}
	err = a.device.SetPeer(Peer{PublicKey: a.sub, PresharedKey: psk, Endpoints: a.endpoints, Keepalive: 25 * time.Second})
	if err != nil {
		a.device.Close()
		return nil, err
	}
	return a, nil
}

// connect dials over the tunnel, and gives the next address its turn until one
// answers.
func (a *attempt) connect(ctx context.Context) (net.Conn, error) {
	to := netip.AddrPortFrom(OverlayAddr(a.sub), EnrolPort)
	for {
		turn, cancel := context.WithTimeout(ctx, a.opts.Turn)
		c, err := a.device.DialContext(turn, to)
		cancel()
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		if a.handshook() {
			wait(ctx, a.opts.Turn/10) // refused at once: busy, or just closed
			continue
		}
		if _, err := a.device.redial(a.sub, true); err != nil {
			return nil, err
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (a *attempt) status() PeerStatus       { return a.device.status()[a.sub] }
func (a *attempt) handshook() bool          { return !a.status().LastHandshake.IsZero() }
func (a *attempt) endpoint() netip.AddrPort { return a.status().Endpoint }

// exchange says hello and reads the answer.
func (a *attempt) exchange(ctx context.Context, c net.Conn) (SubHello, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.SetDeadline(time.Now().Add(helloTimeout))
	var got answer
	err := writeMessage(c, a.opts.Hello)
	if err == nil {
		err = readMessage(c, &got)
	}
	switch {
	case err != nil:
		return SubHello{}, a.failed(StepMessage, fmt.Errorf("the exchange with the sub was cut: %w", err),
			"the link broke, or the sub was stopped: run the same command again, the token is still good")
	case got.Refused != "":
		return SubHello{}, a.failed(StepRefused, fmt.Errorf("the sub refused: %s", printable(got.Refused)))
	}
	if err := got.Validate(); err != nil {
		return SubHello{}, a.failed(StepMessage, fmt.Errorf("the sub's answer: %w", err),
			"the versions of b8s on dom and sub don't fit: update the older one")
	}
	return got.SubHello, nil
}

func (a *attempt) failed(step EnrolStep, err error, causes ...string) error {
	return &EnrolError{Step: step, Endpoints: a.endpoints, Causes: causes, Err: err}
}

// silence explains why no connection came about.
func (a *attempt) silence(err error) error {
	if a.handshook() {
		return a.failed(StepConnect, fmt.Errorf("the sub at %s knows the token, but takes no connection: %w", a.endpoint(), err),
			"another add-sub with this token is going on: wait for its end",
			"the token expired this moment: b8s sub token on the sub makes a new one")
	}
	names := make([]string, len(a.endpoints))
	for i, e := range a.endpoints {
		names[i] = e.String()
		if err := a.device.bind.failure(e); err != nil {
			names[i] += fmt.Sprintf(" (%s)", err)
		}
	}
	return a.failed(StepHandshake, fmt.Errorf("no answer from UDP %s within %s", strings.Join(names, " and "), a.opts.Timeout),
		fmt.Sprintf("UDP port %d is closed on the way: open it in the sub's and its provider's firewall", a.opts.Port),
		"the token is wrong, has expired (15 minutes), or went with a restart of the sub: paste the line it prints now, or make a new one with b8s sub token",
		"the token has been used: b8s sub token on the sub makes a new one",
		"the address or the key in the line is of another host",
		"b8s sub status on the sub tells which: it counts what arrives")
}

// printable is a stranger's text as a terminal may show it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s[:min(len(s), 400)])
}
