package sub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"b8s/tunnel"
	"b8s/version"
)

// Invitation is what the operator needs to enrol this sub: the line to paste
// on the dom, and what is worth saying before it.
type Invitation struct {
	Line        string           `json:"line"`
	Ticket      tunnel.Ticket    `json:"-"` // as it stands in the line
	Notes       []string         `json:"notes,omitempty"`
	Key         tunnel.PublicKey `json:"key"`
	Fingerprint string           `json:"fingerprint"`
	Until       time.Time        `json:"until"`
	Diagnosis   string           `json:"diagnosis,omitempty"` // what came of it so far
}

// enrolling opens enrolments until ctx ends: one after the other while no dom
// has ever enrolled this sub, since a fresh server waits for its operator; and
// one for each request of a serving sub's operator.
func (l *link) enrolling(ctx context.Context, device *tunnel.Device) error {
	for ctx.Err() == nil {
		var asked chan<- Invitation
		if _, enrolled := l.masters.Current(); enrolled {
			select {
			case <-ctx.Done():
				return nil
			case asked = <-l.requests:
			}
		}
		if err := l.enrol(ctx, device, asked); err != nil {
			return err
		}
	}
	return nil
}

// enrol holds one enrolment open until a dom has enrolled this sub, the token
// has expired, or another one is asked for.
func (l *link) enrol(ctx context.Context, device *tunnel.Device, asked chan<- Invitation) error {
	e, err := tunnel.NewEnrolment(tunnel.EnrolmentOptions{Device: device, Life: l.opts.TokenLife, Accept: l.accept, Log: l.log})
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	defer end()
	l.mu.Lock()
	l.enrolment, l.endEnrolment = e, end
	l.mu.Unlock()
	switch {
	case asked != nil:
		asked <- l.invitation(e)
	case l.opts.Invite != nil:
		l.opts.Invite(l.invitation(e))
	}
	err = e.Run(running)
	switch {
	case errors.Is(err, tunnel.ErrTokenExpired):
		l.log.Info("the enrolment token expired")
	case err != nil && running.Err() == nil:
		return err
	}
	return nil
}

// accept takes a dom's hello: it is saved before it is answered.
func (l *link) accept(_ context.Context, hello tunnel.DomHello) (tunnel.SubHello, error) {
	dropped, err := l.masters.Enrol(master{Key: hello.PublicKey, Name: hello.Name, Epoch: hello.Epoch, Enrolled: time.Now().UTC()})
	if err != nil {
		return tunnel.SubHello{}, err
	}
	l.mu.Lock()
	device, restart := l.device, l.restart
	l.mu.Unlock()
	if dropped != nil {
		device.RemovePeer(dropped.Key)
	}
	if current, _ := l.masters.Current(); current.Key == hello.PublicKey && restart != nil {
		restart()
	}
	return tunnel.SubHello{
		Recipient: l.id.Seal.Recipient(),
		Platform:  version.Platform(),
		Version:   version.String(),
		Port:      device.Port(),
	}, nil
}

// invitation is the add-sub line of an open enrolment.
func (l *link) invitation(e *tunnel.Enrolment) Invitation {
	ticket := tunnel.Ticket{IPv4: l.opts.IPv4, IPv6: l.opts.IPv6, Token: e.Token(), Key: l.id.Tunnel.Public()}
	found4, found6 := publicAddresses()
	var notes []string
	if !ticket.IPv4.IsValid() {
		ticket.IPv4, notes = found(found4, "IPv4", "--ipv4", notes)
	}
	if !ticket.IPv6.IsValid() {
		ticket.IPv6, notes = found(found6, "IPv6", "--ipv6", notes)
	}
	flags := ""
	if port := l.opts.Port; port != tunnel.DefaultPort {
		flags = fmt.Sprintf("--port %d ", port)
	}
	state := e.State()
	return Invitation{
		Line:        fmt.Sprintf("b8s dom add-sub %s%s -- %s NAME", flags, ticket.String(), l.coordinates()),
		Ticket:      ticket,
		Notes:       notes,
		Key:         l.id.Tunnel.Public(),
		Fingerprint: l.id.Tunnel.Public().Fingerprint(),
		Until:       time.Now().Add(state.Left).Round(time.Second),
		Diagnosis:   state.Diagnosis(),
	}
}

func found(addr netip.Addr, family, flag string, notes []string) (netip.Addr, []string) {
	if !addr.IsValid() {
		notes = append(notes, fmt.Sprintf("no global %s address on this server's interfaces: left empty (name one with %s)", family, flag))
	}
	return addr, notes
}

func (l *link) coordinates() string {
	if c := strings.TrimSpace(l.opts.Coordinates); c != "" {
		return c
	}
	return "auto"
}

// Invite opens an enrolment on a sub that serves already, for a dom that is to
// adopt it. While one is open, that one is returned; one that has its dom, and
// waits for that dom's first packet, is ended.
func (l *link) Invite(ctx context.Context) (Invitation, error) {
	if i, open := l.Invitation(); open {
		return i, nil
	}
	l.mu.Lock()
	if l.endEnrolment != nil {
		l.endEnrolment()
	}
	l.mu.Unlock()
	answer := make(chan Invitation, 1)
	select {
	case l.requests <- answer:
	case <-ctx.Done():
		return Invitation{}, ctx.Err()
	case <-time.After(inviteWithin):
		return Invitation{}, fmt.Errorf("the tunnel is not up: %s", cmp.Or(l.State().Err, "see b8s sub status"))
	}
	select {
	case i := <-answer:
		return i, nil
	case <-ctx.Done():
		return Invitation{}, ctx.Err()
	}
}

// inviteWithin is how long Invite waits for a tunnel that is starting.
const inviteWithin = 5 * time.Second

// Invitation is that of the enrolment that is open now to any dom, if one is.
func (l *link) Invitation() (i Invitation, open bool) {
	l.mu.Lock()
	e := l.enrolment
	l.mu.Unlock()
	if e == nil {
		return i, false
	}
	if s := e.State(); !s.Open || !s.Dom.IsZero() {
		return i, false
	}
	return l.invitation(e), true
}
