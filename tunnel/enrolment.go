package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// TokenLife is how long a token admits a dom.
	TokenLife = 15 * time.Minute

	// helloTimeout bounds one exchange of enrolment messages.
	helloTimeout = 10 * time.Second

	// answerTime is how long the connection of an answer is kept for the dom to
	// close.
	answerTime = time.Second

	// lifeCheck is how often an enrolment looks whether it has expired: timers
	// stand still while the machine is suspended, and its clock doesn't.
	lifeCheck = time.Second
)

// ErrTokenExpired ends an Enrolment whose time is over.
var ErrTokenExpired = errors.New("the token has expired")

// An Enrolment is a sub's readiness to be enrolled by whoever knows its token.
// Nothing of the token reaches the disk, and to everyone else the sub is
// silent.
//
// It admits one dom: the first that completes. The token stays good for that
// dom, so that it can ask again when the answer was lost, until the first
// packet over the real tunnel.
type Enrolment struct {
	opts      EnrolmentOptions
	bootstrap PublicKey
	listener  net.Listener
	until     time.Duration
	before    [3]uint64 // the bind's counters at the opening

	waiters sync.WaitGroup // for the first packet over the real tunnel

	mu     sync.Mutex
	state  EnrolmentState
	closed bool
}

// EnrolmentOptions says for whom an Enrolment is open, and what it does.
type EnrolmentOptions struct {
	Device *Device

	// Token to know. Zero draws a new one; see Enrolment.Token.
	Token Token

	// Life is how long the token is good. Zero means TokenLife.
	Life time.Duration

	// Accept is called with what the dom says. It must have it on disk, durably,
	// when it returns nil; then the dom's key becomes a peer, and the answer
	// leaves. It is called again for the same dom when that asks again, and
	// never for two at once. An error reaches the dom in its words. Required.
	Accept func(context.Context, DomHello) (SubHello, error)

	// Now is a clock that runs on while the machine is suspended, from any zero.
	// Nil means the system's.
	Now func() time.Duration

	// Log takes one line for each attempt that got as far as a message. Nil
	// discards them.
	Log *slog.Logger
}

// NewEnrolment opens a device for whoever knows the token. The device may have
// peers already, and keeps them. There may be one Enrolment at a time.
func NewEnrolment(opts EnrolmentOptions) (*Enrolment, error) {
	if opts.Accept == nil {
		return nil, errors.New("open enrolment: no Accept")
	}
	if opts.Token.IsZero() {
		opts.Token = NewToken()
	}
	if opts.Now == nil {
		opts.Now = bootTime
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Life = cmp.Or(opts.Life, TokenLife)
	private, psk := opts.Token.keys(opts.Device.Key())
	e := &Enrolment{
		opts:      opts,
		bootstrap: private.Public(),
		until:     opts.Now() + opts.Life,
		before:    opts.Device.bind.counters(),
	}
	var err error
	if e.listener, err = opts.Device.Listen(EnrolPort); err != nil {
		return nil, fmt.Errorf("open enrolment: %w", err)
	}
	if err := opts.Device.setPeer(Peer{PublicKey: e.bootstrap, PresharedKey: psk}, true); err != nil {
		e.listener.Close()
		return nil, fmt.Errorf("open enrolment: %w", err)
	}
	return e, nil
}

// Token returns the token that admits, to be shown to the operator and kept
// nowhere.
func (e *Enrolment) Token() Token { return e.opts.Token }

// Left returns how long the token is still good; zero or less when it is not.
func (e *Enrolment) Left() time.Duration { return e.until - e.opts.Now() }

// Run serves until a dom has enrolled this sub and its first packet came over
// the real tunnel, and then returns nil. Else it returns ErrTokenExpired, or
// ctx's error. Whichever it is, the Enrolment is closed.
func (e *Enrolment) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan struct{})
	go func() { defer close(served); e.serve(ctx, cancel) }()
	e.watch(ctx, cancel)
	e.Close()
	<-served
	e.waiters.Wait()
	if err := context.Cause(ctx); err != errEnrolled {
		return err
	}
	return nil
}

// errEnrolled is the cause for which Run ends well.
var errEnrolled = errors.New("enrolled")

// watch returns when ctx ends, and ends it when the token expires.
func (e *Enrolment) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for e.Left() > 0 {
		wait(ctx, min(e.Left(), lifeCheck))
		if ctx.Err() != nil {
			return
		}
	}
	cancel(ErrTokenExpired)
}

// serve handles one connection at a time. A new one ends the last: its maker,
// the only one who knows the token, has given that up.
func (e *Enrolment) serve(ctx context.Context, cancel context.CancelCauseFunc) {
	end := func() {}
	for {
		c, err := e.listener.Accept()
		end()
		if err != nil {
			cancel(fmt.Errorf("enrolment: %w", err))
			return
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.handle(ctx, cancel, c)
		}()
		end = func() { c.Close(); <-done }
	}
}

func (e *Enrolment) handle(ctx context.Context, cancel context.CancelCauseFunc, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.SetDeadline(time.Now().Add(helloTimeout))
	e.update(func(s *EnrolmentState) { s.Connections++ })
	if c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr() != OverlayAddr(e.bootstrap) {
		return
	}
	var hello DomHello
	if err := readMessage(c, &hello); err != nil {
		e.fail("read the dom's message", err)
		return
	}
	reply, err := e.admit(ctx, hello)
	if err != nil {
		e.fail("dom refused", err)
		writeMessage(c, answer{Refused: err.Error()})
		return
	}
	if err := writeMessage(c, answer{SubHello: reply}); err != nil {
		e.fail("answer the dom", err)
		return
	}
	e.opts.Log.Info("enrolled", "dom", hello.PublicKey, "name", hello.Name, "epoch", hello.Epoch)
	// A dom that was a peer before may send over the real tunnel already. The
	// bootstrap peer stays until this answer had its time to arrive.
	c.SetReadDeadline(time.Now().Add(answerTime))
	c.Read(make([]byte, 1))
	first := e.opts.Device.FirstPacket(hello.PublicKey)
	e.waiters.Go(func() {
		select {
		case <-first:
			cancel(errEnrolled)
		case <-ctx.Done():
		}
	})
}

// admit saves the dom and makes it a peer.
func (e *Enrolment) admit(ctx context.Context, hello DomHello) (SubHello, error) {
	if e.Left() <= 0 {
		return SubHello{}, ErrTokenExpired
	}
	if err := hello.Validate(); err != nil {
		return SubHello{}, err
	}
	if dom := e.State().Dom; !dom.IsZero() && dom != hello.PublicKey {
		return SubHello{}, fmt.Errorf("this token has enrolled the dom %s already: make a new one with b8s sub token", dom.Fingerprint())
	}
	if hello.PublicKey == e.bootstrap || hello.PublicKey == e.opts.Device.Key() {
		return SubHello{}, errors.New("the dom's public key is not its own")
	}
	reply, err := e.opts.Accept(ctx, hello)
	if err != nil {
		return SubHello{}, err
	}
	reply.Schema = HelloSchema
	if err := reply.Validate(); err != nil {
		return SubHello{}, fmt.Errorf("this sub's own answer: %w", err)
	}
	if err := e.opts.Device.SetPeer(Peer{PublicKey: hello.PublicKey}); err != nil {
		return SubHello{}, err
	}
	e.update(func(s *EnrolmentState) { s.Dom = hello.PublicKey })
	return reply, nil
}

// Close removes the bootstrap peer and the listener: from then on the sub is
// silent to the token's holder. It is safe to call more than once.
func (e *Enrolment) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	return errors.Join(e.listener.Close(), e.opts.Device.RemovePeer(e.bootstrap))
}
