package dom

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"b8s/control"
	"b8s/subjects"
	"b8s/tunnel"
	"b8s/version"
)

// enrol makes the sub accept this dom, and the dom know the sub. One that is
// silent is given up after wait, or enrolWithin where that is shorter.
func (d *Dom) enrol(ctx context.Context, m member, ticket tunnel.Ticket, wait time.Duration) (member, error) {
	before, known := d.fleet.Get(m.Name)
	if err := d.fleet.Save(m); err != nil {
		return m, err
	}
	by := d.enrolByToken
	if known && before.Key == m.Key {
		by = d.enrolAgain
	}
	hello, err := by(ctx, m, ticket, min(wait, enrolWithin))
	if err != nil {
		return m, d.enrolFault(m, err)
	}
	return d.settle(m, hello)
}

// enrolWithin is how long a silent sub is tried at most, realTunnelFirst how
// long a re-run tries the real tunnel alone.
const (
	enrolWithin     = 15 * time.Second
	realTunnelFirst = 300 * time.Millisecond
)

// enrolByToken is the handshake with the token's keys, and one message each way.
func (d *Dom) enrolByToken(ctx context.Context, m member, ticket tunnel.Ticket, wait time.Duration) (tunnel.SubHello, error) {
	enrolled, err := tunnel.Enrol(ctx, tunnel.EnrolOptions{
		Ticket: ticket, Port: m.Port, Addrs: d.opts.TunnelAddrs, Clock: d.clock, Timeout: wait, Log: d.log,
		Hello: tunnel.DomHello{PublicKey: d.id.Tunnel.Public(), Name: m.Name, Epoch: d.store.Epoch(subjects.Records), Version: version.String()},
	})
	return enrolled.Sub, err
}

// enrolAgain enrols a sub that an earlier run may have enrolled: then it answers
// over the real tunnel, and to the token no more. Silence tells neither from
// the other, and a sub that is just coming up hears not the first packet; so
// the real tunnel is tried first, and then both. A session from before is
// dropped: the sub's half may have gone with a restart.
func (d *Dom) enrolAgain(ctx context.Context, m member, ticket tunnel.Ticket, wait time.Duration) (hello tunnel.SubHello, err error) {
	if err := d.device.RemovePeer(m.Key); err != nil {
		return hello, err
	}
	if err := d.device.SetPeer(m.peer()); err != nil {
		return hello, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var awaiting sync.WaitGroup
	defer awaiting.Wait()
	defer cancel()
	answered := make(chan struct{})
	byToken, stop := context.WithCancel(ctx)
	awaiting.Go(func() {
		if d.pulse.Await(ctx, m.Key) == nil {
			close(answered)
			stop()
		}
	})
	select {
	case <-byToken.Done():
	case <-time.After(realTunnelFirst):
		hello, err = d.enrolByToken(byToken, m, ticket, wait)
	}
	select {
	case <-answered:
		return hello, nil
	default:
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil || m.Enrolled.IsZero() { // WireGuard pauses for 5 s after a handshake that was ignored
		err = errors.Join(err, d.device.RemovePeer(m.Key))
	}
	return hello, err
}

// enrolFault gives the operator the failing step with its likely causes.
func (d *Dom) enrolFault(m member, err error) error {
	var e *tunnel.EnrolError
	if !errors.As(err, &e) {
		return fmt.Errorf("enrol %s: %w", m.Name, err)
	}
	hint := "likely causes:"
	for _, cause := range e.Causes {
		hint += "\n- " + cause
	}
	if len(e.Causes) == 0 {
		hint = "on the sub:  b8s sub status"
	}
	return control.Failed(fmt.Errorf("enrol %s: %w", m.Name, e.Err), hint)
}

// settle saves the enrolled sub and opens tunnel and bus to it.
func (d *Dom) settle(m member, hello tunnel.SubHello) (member, error) {
	if m.Enrolled.IsZero() {
		m.Enrolled = time.Now().UTC().Truncate(time.Second)
	}
	if hello.Recipient != "" {
		m.Recipient, m.Platform = hello.Recipient, hello.Platform
	}
	if err := d.fleet.Save(m); err != nil {
		return m, err
	}
	return m, d.admit(m)
}
