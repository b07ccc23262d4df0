package bus

import (
	"crypto/subtle"
	"net/netip"

	"b8s/subjects"

	"github.com/nats-io/nats-server/v2/server"
)

// Check is called by the inner server for each login. Who the client is
// follows from its address alone: one without an address is the dom, in
// process; any other was listed by splice before its first byte.
func (s *Server) Check(c server.ClientAuthentication) bool {
	addr := c.RemoteAddress()
	if addr == nil || c.Kind() != server.CLIENT {
		return false
	}
	inner, err := s.current()
	if err != nil {
		return false
	}
	if addr.Network() == "pipe" {
		c.RegisterUser(&server.User{Username: "dom", Account: inner.GlobalAccount()})
		return true
	}
	from, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return false
	}
	return s.admit(inner, from, c)
}

func (s *Server) admit(inner *server.Server, from netip.AddrPort, c server.ClientAuthentication) bool {
	s.mu.Lock()
	p := s.conns[from]
	var current bool
	if p != nil {
		p.id = c.GetID()
		current = p.guest != nil || s.subs[p.sub] == from.Addr()
	}
	s.mu.Unlock()
	switch {
	case !current:
		return false
	case p.guest != nil:
		return p.guest.login(inner, c)
	}
	acc, err := inner.LookupAccount(accountName(p.sub))
	if err != nil {
		return false
	}
	user := &server.User{Username: p.sub, Account: acc}
	if !s.accountsAlone {
		user.Permissions = subPermissions(p.sub)
	}
	c.RegisterUser(user)
	return true
}

// subPermissions repeats, inside the sub's own account, what the account's
// imports allow. The account is what isolates; this keeps a sub from filling
// it with subjects of its own.
func subPermissions(sub string) *server.Permissions {
	publish := []string{"_R_.>"} // answers to the dom's commands
	subscribe := []string{"_INBOX.>", subjects.SubAnswers(sub)}
	for _, in := range subjects.SubImports(sub) {
		if in.Service {
			publish = append(publish, in.Subject)
		} else {
			subscribe = append(subscribe, in.Subject)
		}
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: subscribe},
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
