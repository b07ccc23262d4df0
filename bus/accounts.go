package bus

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats-server/v2/server"
)

// replyTime is how long the server remembers where replies to a request go,
// counted from the last one. It answers from memory and disk, never over a
// network; but when a whole fleet comes back at once an answer may wait some
// seconds. It is short enough that a flood of requests from one sub, which are
// limited in bytes a second, is forgotten before it fills memory.
const replyTime = 12 * time.Second

// exports opens the dom's account for the imports of subs: nothing else of
// it can be imported.
func exports(inner *server.Server) error {
	dom := inner.GlobalAccount()
	for _, in := range subjects.SubImports("*") {
		if !in.Service {
			if err := dom.AddStreamExport(in.Subject, nil); err != nil {
				return fmt.Errorf("export %s: %w", in.Subject, err)
			}
			continue
		}
		if err := dom.AddServiceExportWithResponse(in.Subject, server.Streamed, nil); err != nil {
			return fmt.Errorf("export %s: %w", in.Subject, err)
		}
		if err := dom.SetServiceExportResponseThreshold(in.Subject, replyTime); err != nil {
			return fmt.Errorf("export %s: %w", in.Subject, err)
		}
	}
	return nil
}

// account gives a sub its account, with all that it may touch. An account
// can't be taken away from a running server, so that of a sub that was removed
// and comes back is there already, with the same imports.
func account(inner *server.Server, sub string) (*server.Account, error) {
	acc, err := inner.RegisterAccount(accountName(sub))
	if errors.Is(err, server.ErrAccountExists) {
		return inner.LookupAccount(accountName(sub))
	}
	if err != nil {
		return nil, err
	}
	dom := inner.GlobalAccount()
	for _, in := range subjects.SubImports(sub) {
		if in.Service {
			err = acc.AddServiceImport(dom, in.Subject, "")
		} else {
			err = acc.AddStreamImport(dom, in.Subject, "")
		}
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", in.Subject, err)
		}
	}
	answers := subjects.SubAnswers(sub)
	if err := acc.AddServiceExportWithResponse(answers, server.Streamed, []*server.Account{dom}); err != nil {
		return nil, fmt.Errorf("export %s: %w", answers, err)
	}
	if err := dom.AddServiceImport(acc, answers, ""); err != nil {
		return nil, fmt.Errorf("import %s: %w", answers, err)
	}
	return acc, nil
}

func accountName(sub string) string { return "sub-" + sub }

// AddSub lets the sub at that overlay address in, under that name. A name
// that is known moves to the new address. Connections of the old one are cut.
func (s *Server) AddSub(name string, overlay netip.Addr) error {
	if err := subjects.ValidName(name); err != nil {
		return fmt.Errorf("bus: add sub: %w", err)
	}
	overlay = overlay.Unmap()
	if !overlay.IsValid() {
		return fmt.Errorf("bus: add sub %s: no overlay address", name)
	}
	s.restart.Lock()
	defer s.restart.Unlock()
	inner, err := s.current()
	if err != nil {
		return fmt.Errorf("bus: add sub %s: %w", name, err)
	}
	if other, err := s.subAt(overlay); err == nil && other != name {
		return fmt.Errorf("bus: add sub %s: %s is the address of sub %s", name, overlay, other)
	}
	if _, err := account(inner, name); err != nil {
		return fmt.Errorf("bus: add sub %s: %w", name, err)
	}
	s.mu.Lock()
	old, known := s.subs[name]
	s.subs[name] = overlay
	s.mu.Unlock()
	if known && old != overlay {
		s.cut(inner, name)
	}
	return nil
}

// RemoveSub shuts a sub out and cuts its connections. A name that is not known
// is no error.
func (s *Server) RemoveSub(name string) error {
	inner, err := s.current()
	if err != nil {
		return fmt.Errorf("bus: remove sub %s: %w", name, err)
	}
	s.mu.Lock()
	delete(s.subs, name)
	s.mu.Unlock()
	s.cut(inner, name)
	return nil
}

// cut ends every connection of a sub.
func (s *Server) cut(inner *server.Server, name string) {
	s.mu.Lock()
	var cut []*splice
	for _, p := range s.conns {
		if p.sub == name && p.guest == nil {
			cut = append(cut, p)
		}
	}
	ids := make([]uint64, len(cut))
	for i, p := range cut {
		ids[i] = p.id
	}
	s.mu.Unlock()
	for i, p := range cut {
		if ids[i] != 0 {
			_ = inner.DisconnectClientByID(ids[i]) // gone already is as good
		}
		p.outside.Close()
	}
}

func (s *Server) subAt(overlay netip.Addr) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, addr := range s.subs {
		if addr == overlay {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s is no sub's overlay address", overlay)
}
